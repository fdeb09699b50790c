"""The whole report: one protocol for all models, whole, and kept on disk."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.evaluation.accuracy import HEADLINE, METRICS
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.report import OURS, POPULARITY, RETRIEVAL_ONLY, EvalReport
from tests.core.evaluation.conftest import Judged
from tests.core.tables_by_hand import shuffled

MODELS = [OURS, RETRIEVAL_ONLY, POPULARITY, "ease"]


def assert_same(one: EvalReport, other: EvalReport) -> None:
    for field in fields(EvalReport):
        assert getattr(one, field.name).equals(getattr(other, field.name)), field.name


def test_every_model_is_judged_on_all_users_with_targets(judged: Judged, report: EvalReport) -> None:
    eligible = judged.targets["user_id"].n_unique()
    assert report.per_user["model"].unique(maintain_order=True).to_list() == MODELS
    assert report.per_user.group_by("model").len()["len"].unique().to_list() == [eligible]
    assert report.summary["n"].unique().to_list() == [eligible]
    assert report.comparison["n"].unique().to_list() == [eligible]
    assert report.summary.height == len(MODELS) * len(METRICS)


def test_every_headline_has_its_interval(report: EvalReport) -> None:
    inside = (report.summary["low"] <= report.summary["mean"]) & (report.summary["mean"] <= report.summary["high"])
    assert inside.all()
    assert (report.summary.filter(metric=HEADLINE)["low"] < report.summary.filter(metric=HEADLINE)["high"]).all()


def test_the_mean_is_that_of_the_users(report: EvalReport) -> None:
    for model in MODELS:
        assert report.mean(model) == pytest.approx(report.per_user.filter(model=model)[HEADLINE].mean())


def test_our_lead_is_the_difference_of_the_means(report: EvalReport) -> None:
    assert report.comparison["other"].unique(maintain_order=True).to_list() == MODELS[1:]
    for other in MODELS[1:]:
        lead, low, high = report.lead_over(other)
        assert lead == pytest.approx(report.mean(OURS) - report.mean(other))
        assert low <= lead <= high


def test_the_headline_names_what_the_tables_hold(report: EvalReport) -> None:
    found = report.headline()
    assert found["n_users"] == report.per_user["user_id"].n_unique()
    assert found["ndcg@10"] == report.mean(OURS)
    assert found["retrieval_ndcg@10"] == report.mean(RETRIEVAL_ONLY)
    assert found["popularity_ndcg@10"] == report.mean(POPULARITY)
    assert found["lead_over_popularity_low"] == report.lead_over(POPULARITY)[1]


def test_no_list_repeats_what_the_user_has_seen(judged: Judged) -> None:
    seen = judged.stages.users.seen().toarray()
    rows = np.arange(len(seen))[:, None]
    for lists in (judged.stages.exact, judged.stages.found, judged.stages.ranked):
        assert not ((seen[rows, lists] > 0) & (lists >= 0)).any()


def test_our_lists_come_from_our_stages(judged: Judged, report: EvalReport) -> None:
    """With the order of retrieval kept by ranking, both rows are one."""
    lazy = replace(judged, stages=replace(judged.stages, ranked=judged.stages.found)).report()
    assert lazy.lead_over(RETRIEVAL_ONLY) == (0, 0, 0)
    assert report.lead_over(RETRIEVAL_ONLY) != (0, 0, 0)


def test_two_runs_are_one_report(judged: Judged, report: EvalReport) -> None:
    assert_same(judged.report(), report)


def test_the_order_of_the_targets_and_of_the_list_rows_changes_no_figure(judged: Judged, report: EvalReport) -> None:
    again = replace(judged, targets=shuffled(judged.targets), trained_users=judged.trained_users.reverse()).report()
    for name in ("per_user", "summary", "comparison", "funnel", "breadth", "user_slices", "item_slices"):
        assert getattr(again, name).equals(getattr(report, name)), name
    assert again.fates.sort("user_id", "item_id").equals(report.fates.sort("user_id", "item_id"))


def test_another_seed_moves_intervals_and_no_mean(judged: Judged, report: EvalReport) -> None:
    other = judged.report(EvaluationConfig(n_draws=200, n_slice_users=3, seed=18))
    assert other.summary["mean"].equals(report.summary["mean"])
    assert not other.summary["low"].equals(report.summary["low"])


def test_a_list_of_one_is_reported_too(judged: Judged) -> None:
    report = judged.report(EvaluationConfig(k=1, n_draws=100))
    assert report.breadth.filter(metric="diversity")["value"].is_nan().all()
    assert report.funnel["n_targets"].sum() == judged.targets.height


def test_the_report_survives_the_disk(report: EvalReport, tmp_path: Path) -> None:
    report.save(tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(field.name for field in fields(EvalReport))
    assert_same(EvalReport.load(tmp_path), report)


def test_counts_are_signed_integers(report: EvalReport) -> None:
    for table, column in (("per_user", "n_targets"), ("summary", "n"), ("funnel", "n_targets"), ("item_slices", "n")):
        assert getattr(report, table).schema[column] == pl.Int64, table
