"""The ranking report: what ranking adds, as one number with its interval."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import VALIDATION
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.ranking.calibration_report import BASE_RATE, CALIBRATED
from recsys_core.ranking.explanations import importance
from recsys_core.ranking.report import RankingReport, ranking_report
from tests.core.worlds import TinyRun


def report_of(retrieval: list[float], ranking: list[float]) -> RankingReport:
    users = list(range(len(retrieval)))
    per_user = pl.concat(
        pl.DataFrame({"user_id": users, "ndcg": values, "map": [value / 2 for value in values]}).select(
            pl.lit(order).alias("order"), pl.all()
        )
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


def test_judged_and_explained_is_the_rehearsal_on_rows_that_it_never_saw(tiny: TinyRun) -> None:
    """The serving ranker has seen the validation slice: judged on it, it would look better than it is."""
    report = ranking_report(tiny.examples, tiny.rehearsal)
    lessons = tiny.examples.rows.filter(pl.col("slice") != VALIDATION)
    other = replace(
        tiny.examples,
        rows=pl.concat([lessons.with_columns(label=1 - pl.col("label")), tiny.examples.rows.filter(slice=VALIDATION)]),
    )
    again = ranking_report(other, tiny.rehearsal)
    for field in fields(report):
        assert getattr(report, field.name).equals(getattr(again, field.name))
    assert not report.per_user.equals(ranking_report(tiny.examples, tiny.ranker).per_user)
    assert report.importance.equals(
        importance(tiny.rehearsal, tiny.examples.rows.filter(slice=VALIDATION).select(FEATURE_NAMES).to_numpy())
    )


def test_where_nothing_can_be_calibrated_the_report_says_undefined(tiny: TinyRun) -> None:
    nothing = tiny.examples.rows.with_columns(label=pl.lit(0, pl.Int8))
    report = ranking_report(replace(tiny.examples, rows=nothing), tiny.rehearsal)
    headline = report.headline()
    assert np.isnan([headline["calibration_error"], headline["brier"], headline["log_loss"]]).all()
    assert report.reliability.is_empty()
    assert headline["retrieval_ndcg@10"] == 0


def test_a_saved_report_reads_back(tiny: TinyRun, tmp_path: Path) -> None:
    report = ranking_report(tiny.examples, tiny.rehearsal)
    report.save(tmp_path)
    back = RankingReport.load(tmp_path)
    for field in fields(report):
        assert getattr(back, field.name).equals(getattr(report, field.name))
