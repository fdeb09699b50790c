"""The ranking report: what ranking adds, as one number with its interval."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.ranking.calibration_report import BASE_RATE, CALIBRATED
from recsys_core.ranking.explanations import importance
from recsys_core.ranking.report import RankingReport, ranking_report
from recsys_core.ranking.validation import validate_ranker
from tests.core.worlds import TinyRun


def report_of(retrieval: list[float], ranking: list[float], windows: tuple[str, ...] = ("w",)) -> RankingReport:
    """The same figures in each window."""
    users = list(range(len(retrieval)))
    per_user = pl.concat(
        pl.DataFrame({"user_id": users, "ndcg": values, "map": [value / 2 for value in values]}).select(
            pl.lit(window).alias("window"), pl.lit(order).alias("order"), pl.all()
        )
        for window in windows
        for order, values in (("retrieval", retrieval), ("ranking", ranking))
    )
    columns: dict[str, object] = {"forecast": [CALIBRATED, BASE_RATE], "rows": "candidates", "n": 9, "observed": 0.2}
    columns |= {"calibration_error": [0.01, 0.0], "brier": [0.1, 0.16], "log_loss": [0.3, 0.5]}
    return RankingReport(
        per_user=per_user,
        importance=pl.DataFrame({"feature": ["a"], "gain": [1.0]}),
        forecasts=pl.DataFrame(columns),
        reliability=pl.DataFrame(),
    )


def test_the_gain_is_paired_by_user() -> None:
    """Users differ widely, ranking adds 0.1 to each: only a paired interval sees that this is certain."""
    gain = report_of([0.0, 0.5, 0.9], [0.1, 0.6, 1.0]).gain()
    assert (gain.mean, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))


def test_the_order_of_the_rows_does_not_pair_the_wrong_users() -> None:
    report = report_of([0.0, 0.5, 0.9], [0.1, 0.6, 1.0])
    shuffled = replace(report, per_user=report.per_user.reverse())
    assert shuffled.gain() == report.gain()


def test_the_headline_names_both_orders() -> None:
    headline = report_of([0.2, 0.4], [0.4, 0.6]).headline()
    assert headline["ndcg@10"] == pytest.approx(0.5)
    assert headline["retrieval_ndcg@10"] == pytest.approx(0.3)
    assert headline["map@10"] == pytest.approx(0.25)
    assert headline["ndcg_gain"] == pytest.approx(0.2)


def test_the_headline_sets_the_probabilities_beside_the_base_rate() -> None:
    headline = report_of([0.2, 0.4], [0.4, 0.6]).headline()
    assert (headline["base_rate"], headline["calibration_error"]) == (0.2, 0.01)
    assert (headline["brier"], headline["brier_of_base_rate"]) == (0.1, 0.16)
    assert (headline["log_loss"], headline["log_loss_of_base_rate"]) == (0.3, 0.5)


def test_a_user_of_two_windows_is_one_unit_of_chance() -> None:
    """What two windows say twice of the same users narrows no interval."""
    theirs, ours = [0.0, 0.5, 0.9, 0.3], [0.3, 0.4, 1.0, 0.1]
    once, twice = report_of(theirs, ours).gain(), report_of(theirs, ours, ("w", "v")).gain()
    assert (twice.mean, twice.low, twice.high) == pytest.approx((once.mean, once.low, once.high))
    assert (once.n, twice.n) == (4, 8)


def test_each_development_window_is_judged_by_the_ranker_that_had_not_seen_it(tiny: TinyRun) -> None:
    report = ranking_report(tiny.examples, tiny.examined)
    windows = tiny.splits.development
    assert report.per_user["window"].unique(maintain_order=True).to_list() == windows
    for window in windows:
        own = report.per_user.filter(window=window).drop("window")
        assert own.equals(validate_ranker(tiny.examined[window], tiny.examples, window))
    last = windows[-1]
    features = tiny.examples.of_window(last).select(FEATURE_NAMES).to_numpy()
    assert report.importance.equals(importance(tiny.examined[last], features))


def test_nothing_but_the_development_windows_is_read(tiny: TinyRun) -> None:
    """Neither what came before, nor the two last windows: with other labels there the report is the same."""
    report = ranking_report(tiny.examples, tiny.examined)
    own = pl.concat([tiny.examples.of_window(window).select("slice").unique() for window in tiny.splits.development])
    turned = pl.when(pl.col("slice").is_in(own["slice"].to_list())).then("label").otherwise(1 - pl.col("label"))
    other = replace(tiny.examples, rows=tiny.examples.rows.with_columns(label=turned.cast(pl.Int8)))
    assert not other.of_window(TEST).equals(tiny.examples.of_window(TEST))
    again = ranking_report(other, tiny.examined)
    for field in fields(report):
        assert getattr(report, field.name).equals(getattr(again, field.name))
    knowing = dict.fromkeys(tiny.splits.development, tiny.ranker)
    assert not report.per_user.equals(ranking_report(tiny.examples, knowing).per_user)


def test_where_nothing_can_be_calibrated_the_report_says_undefined(tiny: TinyRun) -> None:
    nothing = tiny.examples.rows.with_columns(label=pl.lit(0, pl.Int8))
    report = ranking_report(replace(tiny.examples, rows=nothing), tiny.examined)
    headline = report.headline()
    assert np.isnan([headline["calibration_error"], headline["brier"], headline["log_loss"]]).all()
    assert report.reliability.is_empty()
    assert headline["retrieval_ndcg@10"] == 0


def test_a_saved_report_reads_back(tiny: TinyRun, tmp_path: Path) -> None:
    report = ranking_report(tiny.examples, tiny.examined)
    report.save(tmp_path)
    back = RankingReport.load(tmp_path)
    for field in fields(report):
        assert getattr(back, field.name).equals(getattr(report, field.name))
