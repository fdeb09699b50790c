"""The whole report: one protocol for all models, whole, and kept on disk."""

import itertools
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST
from recsys_core.evaluation.accuracy import COMPARED, HEADLINE, METRICS
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.protocols import FROZEN, PROTOCOLS, REFITTED
from recsys_core.evaluation.report import (
    ALL_WINDOWS,
    DEVELOPMENT,
    OURS,
    POPULARITY,
    RETRIEVAL_ONLY,
    EvalReport,
    pooled,
)
from recsys_core.metrics.uncertainty import bootstrap_mean
from recsys_core.seeding import child
from tests.core.evaluation.conftest import Judged
from tests.core.tables_by_hand import shuffled

EXAMS = ["window_2", "window_3", "window_4", TEST]
MODELS = [OURS, RETRIEVAL_ONLY, POPULARITY, "ease"]


def assert_same(one: EvalReport, other: EvalReport) -> None:
    for field in fields(EvalReport):
        assert getattr(one, field.name).equals(getattr(other, field.name)), field.name


def test_every_model_is_judged_on_all_users_with_targets(judged: Judged, report: EvalReport) -> None:
    """By each protocol in each window; the pools hold every answer of their windows."""
    asked = {
        (protocol, window): sum(one.questions.targets["user_id"].n_unique() for one in judged.of(protocol, window))
        for protocol in PROTOCOLS
        for window in EXAMS
    }
    for protocol in PROTOCOLS:
        asked[protocol, ALL_WINDOWS] = sum(asked[protocol, window] for window in EXAMS)
        asked[protocol, DEVELOPMENT] = sum(asked[protocol, window] for window in EXAMS[:-2])
    assert report.per_user["model"].unique(maintain_order=True).to_list() == MODELS
    counted = report.summary.select("protocol", "window", "n").unique().rows()
    assert {(protocol, window): n for protocol, window, n in counted} == asked
    assert len(counted) == len(asked)
    assert report.summary.height == len(asked) * len(MODELS) * len(METRICS)


def test_the_pools_are_what_their_windows_are(report: EvalReport) -> None:
    both = pooled(report.per_user)
    for pool, windows in ((ALL_WINDOWS, EXAMS), (DEVELOPMENT, EXAMS[:-2])):
        own = report.per_user.filter(pl.col("window").is_in(windows))
        assert both.filter(window=pool).drop("window").equals(own.drop("window"))
        for protocol in PROTOCOLS:
            mean = own.filter(protocol=protocol, model=OURS)[HEADLINE].mean()
            assert report.mean(OURS, window=pool, protocol=protocol) == pytest.approx(mean)
    assert TEST not in EXAMS[:-2]


def test_leads_are_told_of_pools_and_the_test_and_by_other_protocols_of_all_windows(report: EvalReport) -> None:
    found = report.comparison.select("protocol", "window").unique().rows()
    assert sorted(found) == sorted(
        [
            *((REFITTED, window) for window in (ALL_WINDOWS, DEVELOPMENT, TEST)),
            *((protocol, ALL_WINDOWS) for protocol in PROTOCOLS if protocol != REFITTED),
        ]
    )
    assert report.comparison["metric"].unique(maintain_order=True).to_list() == list(COMPARED)


def test_users_come_back_in_other_windows_and_are_one_unit_of_chance(judged: Judged, report: EvalReport) -> None:
    """With every answer taken for a user of its own, the pooled interval would be another."""
    own = report.per_user.filter(protocol=REFITTED, model=OURS)
    assert own["user_id"].n_unique() < own.height
    values, seed = own.sort("user_id", maintain_order=True), EvaluationConfig().seed
    clustered = bootstrap_mean(
        values[HEADLINE].to_numpy(), child(seed, "bootstrap"), n_draws=200, clusters=values["user_id"].to_numpy()
    )
    row = report.summary.filter(protocol=REFITTED, window=ALL_WINDOWS, model=OURS, metric=HEADLINE).row(0, named=True)
    assert (row["low"], row["high"]) == pytest.approx((clustered.low, clustered.high))
    apart = bootstrap_mean(values[HEADLINE].to_numpy(), child(seed, "bootstrap"), n_draws=200)
    assert (apart.low, apart.high) != pytest.approx((row["low"], row["high"]))


def test_every_headline_has_its_interval(report: EvalReport) -> None:
    inside = (report.summary["low"] <= report.summary["mean"]) & (report.summary["mean"] <= report.summary["high"])
    assert inside.all()
    headlines = report.summary.filter(metric=HEADLINE, protocol=REFITTED)
    assert (headlines["low"] < headlines["high"]).all()


def test_the_mean_is_that_of_the_users(report: EvalReport) -> None:
    for model in MODELS:
        for protocol, window in itertools.product(PROTOCOLS, EXAMS):
            own = report.per_user.filter(model=model, protocol=protocol, window=window)
            assert report.mean(model, window=window, protocol=protocol) == pytest.approx(own[HEADLINE].mean())


def test_our_lead_is_the_difference_of_the_means(report: EvalReport) -> None:
    assert report.comparison["other"].unique(maintain_order=True).to_list() == MODELS[1:]
    for other, window in itertools.product(MODELS[1:], (ALL_WINDOWS, DEVELOPMENT, TEST)):
        lead, low, high = report.lead_over(other, window=window)
        assert lead == pytest.approx(report.mean(OURS, window=window) - report.mean(other, window=window))
        assert low <= lead <= high


def test_the_headline_names_what_the_tables_hold(report: EvalReport) -> None:
    found = report.headline()
    assert found["n_users"] == report.per_user.filter(protocol=REFITTED, model=OURS).height
    assert found["ndcg@10"] == report.mean(OURS)
    assert found["test_ndcg@10"] == report.mean(OURS, window=TEST)
    assert found["frozen_ndcg@10"] == report.mean(OURS, protocol=FROZEN)
    assert found["retrieval_ndcg@10"] == report.mean(RETRIEVAL_ONLY)
    assert found["popularity_ndcg@10"] == report.mean(POPULARITY)
    assert found["lead_over_popularity_low"] == report.lead_over(POPULARITY)[1]


def test_what_lies_beyond_accuracy_is_of_the_refitted_test(judged: Judged, report: EvalReport) -> None:
    """Other answers anywhere else change none of it."""
    tested = judged.of(REFITTED, TEST)
    elsewhere = judged.with_stages(
        lambda one: (
            one.stages
            if any(one is other for other in tested)
            else replace(one.stages, ranked=one.stages.ranked[:, ::-1])
        )
    )
    other = elsewhere.report()
    for name in ("fates", "funnel", "breadth"):
        assert getattr(other, name).equals(getattr(report, name)), name
    assert not other.summary.equals(report.summary)
    n_targets = sum(one.questions.targets.height for one in tested)
    assert report.fates.height == n_targets


def test_no_list_repeats_what_the_user_has_seen(judged: Judged) -> None:
    for one in judged.answered:
        seen = one.stages.users.seen().toarray()
        rows = np.arange(len(seen))[:, None]
        for lists in (one.stages.exact, one.stages.found, one.stages.ranked):
            assert not ((seen[rows, lists] > 0) & (lists >= 0)).any()


def test_our_lists_come_from_our_stages(judged: Judged, report: EvalReport) -> None:
    """With the order of retrieval kept by ranking, both rows are one."""
    lazy = judged.with_stages(lambda one: replace(one.stages, ranked=one.stages.found)).report()
    assert lazy.lead_over(RETRIEVAL_ONLY) == (0, 0, 0)
    assert report.lead_over(RETRIEVAL_ONLY) != (0, 0, 0)


def test_two_runs_are_one_report(judged: Judged, report: EvalReport) -> None:
    assert_same(judged.report(), report)


def _shuffled_within_models(lists: pl.DataFrame) -> pl.DataFrame:
    """The rows in another order; the models stay in theirs, which is that of the tables."""
    return pl.concat([shuffled(own) for _, own in lists.group_by("model", maintain_order=True)])


def test_the_order_of_the_targets_and_of_the_list_rows_changes_no_figure(judged: Judged, report: EvalReport) -> None:
    mixed = judged.with_targets(shuffled)
    reverse = [replace(one, trained_users=one.trained_users.reverse()) for one in mixed.answered]
    again = replace(mixed, answered=reverse, baselines=_shuffled_within_models(judged.baselines)).report()
    for name in ("per_user", "summary", "comparison", "funnel", "breadth", "user_slices", "item_slices"):
        assert getattr(again, name).equals(getattr(report, name)), name
    assert again.fates.sort("user_id", "item_id").equals(report.fates.sort("user_id", "item_id"))


@pytest.mark.slow
def test_another_seed_moves_intervals_and_no_mean(judged: Judged, report: EvalReport) -> None:
    other = judged.report(EvaluationConfig(n_draws=200, n_slice_users=3, seed=18))
    assert other.summary["mean"].equals(report.summary["mean"])
    assert not other.summary["low"].equals(report.summary["low"])


def test_a_list_of_one_is_reported_too(judged: Judged) -> None:
    report = judged.report(EvaluationConfig(k=1, n_draws=100))
    assert report.breadth.filter(metric="diversity")["value"].is_nan().all()
    assert report.funnel["n_targets"].sum() == report.fates.height > 0


def test_the_report_survives_the_disk(report: EvalReport, tmp_path: Path) -> None:
    report.save(tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(field.name for field in fields(EvalReport))
    assert_same(EvalReport.load(tmp_path), report)


def test_counts_are_signed_integers(report: EvalReport) -> None:
    for table, column in (("per_user", "n_targets"), ("summary", "n"), ("funnel", "n_targets"), ("item_slices", "n")):
        assert getattr(report, table).schema[column] == pl.Int64, table
