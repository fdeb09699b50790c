"""The ranking report: what ranking adds, as one number with its interval."""

from pathlib import Path

import polars as pl
import pytest

from recsys_core.ranking.report import RankingReport, ranking_report
from tests.core.worlds import QUICK_RANKER, TinyRun


def report_of(retrieval: list[float], ranking: list[float]) -> RankingReport:
    users = list(range(len(retrieval)))
    per_user = pl.concat(
        pl.DataFrame({"user_id": users, "ndcg": values, "map": [value / 2 for value in values]}).select(
            pl.lit(order).alias("order"), pl.all()
        )
        for order, values in (("retrieval", retrieval), ("ranking", ranking))
    )
    return RankingReport(per_user=per_user, importance=pl.DataFrame({"feature": ["a"], "gain": [1.0]}))


def test_the_gain_is_paired_by_user() -> None:
    """Users differ widely, ranking adds 0.1 to each: only a paired interval sees that this is certain."""
    gain = report_of([0.0, 0.5, 0.9], [0.1, 0.6, 1.0]).gain()
    assert (gain.mean, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))


def test_the_order_of_the_rows_does_not_pair_the_wrong_users() -> None:
    report = report_of([0.0, 0.5, 0.9], [0.1, 0.6, 1.0])
    shuffled = RankingReport(per_user=report.per_user.reverse(), importance=report.importance)
    assert shuffled.gain() == report.gain()


def test_the_headline_names_both_orders() -> None:
    headline = report_of([0.2, 0.4], [0.4, 0.6]).headline()
    assert headline["ndcg@10"] == pytest.approx(0.5)
    assert headline["retrieval_ndcg@10"] == pytest.approx(0.3)
    assert headline["map@10"] == pytest.approx(0.25)
    assert headline["ndcg_gain"] == pytest.approx(0.2)


def test_the_judged_ranker_is_another_one_than_the_one_that_serves(tiny: TinyRun) -> None:
    """The serving ranker has seen the validation slice: judged on it, it would look better than it is."""
    report = ranking_report(tiny.examples, tiny.ranker, QUICK_RANKER)
    again = ranking_report(tiny.examples, tiny.ranker, QUICK_RANKER.model_copy(update={"n_rounds": 1}))
    assert not report.per_user.equals(again.per_user)
    assert report.importance.equals(again.importance)


def test_a_saved_report_reads_back(tiny: TinyRun, tmp_path: Path) -> None:
    report = ranking_report(tiny.examples, tiny.ranker, QUICK_RANKER)
    report.save(tmp_path)
    back = RankingReport.load(tmp_path)
    assert back.per_user.equals(report.per_user)
    assert back.importance.equals(report.importance)
