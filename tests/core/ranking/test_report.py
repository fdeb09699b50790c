"""The ranking report, and that no label judges the curve that it helped to fit."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.metrics.calibration import brier_score, expected_calibration_error, log_loss
from recsys_core.ranking.calibration import fit_calibration
from recsys_core.ranking.diagnostics import importance, validate_ranker
from recsys_core.ranking.report import (
    BASE_RATE,
    CALIBRATED,
    FORECASTS_SCHEMA,
    RELIABILITY_SCHEMA,
    RankingReport,
    crossfitted,
    forecast_scores,
    ranking_report,
    reliability_table,
)
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
    report = ranking_report(tiny.examples, tiny.window_rankers)
    windows = tiny.splits.development
    assert report.per_user["window"].unique(maintain_order=True).to_list() == windows
    for window in windows:
        own = report.per_user.filter(window=window).drop("window")
        assert own.equals(validate_ranker(tiny.window_rankers[window], tiny.examples, window))
    last = windows[-1]
    features = tiny.examples.of_window(last).select(FEATURE_NAMES).to_numpy()
    assert report.importance.equals(importance(tiny.window_rankers[last], features))


def test_nothing_but_the_development_windows_is_read(tiny: TinyRun) -> None:
    """Neither what came before, nor the two last windows: with other labels there the report is the same."""
    report = ranking_report(tiny.examples, tiny.window_rankers)
    own = pl.concat([tiny.examples.of_window(window).select("slice").unique() for window in tiny.splits.development])
    turned = pl.when(pl.col("slice").is_in(own["slice"].to_list())).then("label").otherwise(1 - pl.col("label"))
    other = replace(tiny.examples, rows=tiny.examples.rows.with_columns(label=turned.cast(pl.Int8)))
    assert not other.of_window(TEST).equals(tiny.examples.of_window(TEST))
    again = ranking_report(other, tiny.window_rankers)
    for field in fields(report):
        assert getattr(report, field.name).equals(getattr(again, field.name))
    knowing = dict.fromkeys(tiny.splits.development, tiny.ranker)
    assert not report.per_user.equals(ranking_report(tiny.examples, knowing).per_user)


def test_where_nothing_can_be_calibrated_the_report_says_undefined(tiny: TinyRun) -> None:
    nothing = tiny.examples.rows.with_columns(label=pl.lit(0, pl.Int8))
    report = ranking_report(replace(tiny.examples, rows=nothing), tiny.window_rankers)
    headline = report.headline()
    assert np.isnan([headline["calibration_error"], headline["brier"], headline["log_loss"]]).all()
    assert report.reliability.is_empty()
    assert headline["retrieval_ndcg@10"] == 0


def test_a_saved_report_reads_back(tiny: TinyRun, tmp_path: Path) -> None:
    report = ranking_report(tiny.examples, tiny.window_rankers)
    report.save(tmp_path)
    back = RankingReport.load(tmp_path)
    for field in fields(report):
        assert getattr(back, field.name).equals(getattr(report, field.name))


def scored_rows(n_users: int = 80, n_rows: int = 50, *, seed: int = 0) -> pl.DataFrame:
    """Users with likes drawn by a logistic curve of the score: the truth is known, and in `chance`."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 1, n_users * n_rows).astype(np.float32)
    chance = 1 / (1 + np.exp(-(1.2 * score - 2)))
    users = np.repeat(np.arange(n_users) * 7 + 3, n_rows)
    label = (rng.random(len(score)) < chance).astype(np.int8)
    return pl.DataFrame({"user_id": users, "label": label, "score": score, "chance": chance})


def forecast_from(
    calibrated: list[float], label: list[int], user_id: list[int], base_rate: float = 0.5
) -> pl.DataFrame:
    columns = {"user_id": user_id, "label": label, "score": calibrated, "calibrated": calibrated}
    return pl.DataFrame(columns).with_columns(base_rate=pl.lit(base_rate))


def figures(scores: pl.DataFrame, forecast: str, rows: str) -> dict[str, float]:
    return scores.filter(forecast=forecast, rows=rows).row(0, named=True)


def test_no_users_labels_reach_the_curve_that_judges_them() -> None:
    scored = scored_rows()
    forecast = crossfitted(scored)
    for user in (3, 10, 17):
        flipped = scored.with_columns(
            label=pl.when(pl.col("user_id") == user).then(1 - pl.col("label")).otherwise("label").cast(pl.Int8)
        )
        again = crossfitted(flipped)
        own = pl.col("user_id") == user
        for column in ("calibrated", "base_rate"):
            assert again.filter(own)[column].equals(forecast.filter(own)[column])
            assert not again[column].equals(forecast[column])


def test_each_half_is_judged_by_the_curve_of_the_other() -> None:
    forecast = crossfitted(scored_rows(n_users=9))
    halves = forecast.partition_by("base_rate")
    assert sorted(half["user_id"].n_unique() for half in halves) == [4, 5]
    for judged, other in (halves, halves[::-1]):
        curve = fit_calibration(other["score"].to_numpy(), other["label"].to_numpy())
        assert curve is not None
        assert np.array_equal(judged["calibrated"].to_numpy(), curve.probability(judged["score"].to_numpy()))
        assert judged["base_rate"][0] == other["label"].mean()


def test_another_seed_deals_other_halves() -> None:
    scored = scored_rows()
    assert crossfitted(scored).equals(crossfitted(scored))
    assert not crossfitted(scored, seed=18).equals(crossfitted(scored))


def test_the_order_of_the_rows_changes_no_forecast() -> None:
    scored = scored_rows().with_row_index()
    one = crossfitted(scored)["calibrated"].to_numpy()
    other = crossfitted(scored.reverse()).sort("index")["calibrated"].to_numpy()
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_known_truth_is_found_and_beats_the_base_rate() -> None:
    scored = scored_rows(n_users=200, n_rows=100)
    forecast = crossfitted(scored)
    assert np.abs(forecast["calibrated"] - forecast["chance"]).max() < 0.05
    scores = forecast_scores(forecast)
    ours, constant = (figures(scores, kind, "candidates") for kind in (CALIBRATED, BASE_RATE))
    assert ours["calibration_error"] < 0.02
    assert ours["brier"] < constant["brier"]
    assert ours["log_loss"] < constant["log_loss"]


def test_scores_of_rows_by_hand() -> None:
    """Two users with three rows each, of which the first two are shown."""
    forecast = forecast_from([0.9, 0.5, 0.1, 0.2, 0.4, 0.8], [1, 0, 0, 1, 0, 1], [1, 1, 1, 2, 2, 2])
    scores = forecast_scores(forecast, k=2)
    assert scores.schema == FORECASTS_SCHEMA
    everything, shown = (figures(scores, CALIBRATED, rows) for rows in ("candidates", "first 2"))
    assert (everything["n"], shown["n"]) == (6, 4)
    assert everything["predicted"] == pytest.approx(2.9 / 6)
    assert shown["predicted"] == pytest.approx((0.9 + 0.5 + 0.8 + 0.4) / 4)
    assert (everything["observed"], shown["observed"]) == (0.5, 0.5)
    predicted, observed = np.array([0.9, 0.5, 0.8, 0.4]), np.array([True, False, True, False])
    assert shown["brier"] == pytest.approx(brier_score(predicted, observed))
    assert shown["log_loss"] == pytest.approx(log_loss(predicted, observed))
    assert shown["calibration_error"] == pytest.approx(expected_calibration_error(predicted, observed))
    assert figures(scores, BASE_RATE, "first 2")["brier"] == pytest.approx(0.25)


def test_reliability_by_hand() -> None:
    """The lower bin: two rows of each user, one like in four. The upper: three in four."""
    forecast = forecast_from([0.1, 0.2, 0.7, 0.8] * 2, [0, 1, 1, 1, 0, 0, 1, 0], [1, 1, 1, 1, 2, 2, 2, 2])
    table = reliability_table(forecast, n_bins=2)
    assert table.schema == RELIABILITY_SCHEMA
    assert table["bin"].to_list() == [1, 2]
    assert table["n"].to_list() == [4, 4]
    assert table["predicted"].to_list() == pytest.approx([0.15, 0.75])
    assert table["observed"].to_list() == pytest.approx([0.25, 0.75])
    assert table["low"].to_list() == pytest.approx([0.0, 0.5])  # user 2 drawn twice
    assert table["high"].to_list() == pytest.approx([0.5, 1.0])  # user 1 drawn twice


def test_the_interval_knows_that_rows_of_one_user_hang_together() -> None:
    """Half of the users like all, half like none: 2,000 rows, but only 20 users to learn from."""
    users = np.repeat(np.arange(20), 100)
    forecast = forecast_from([0.5] * 2000, (users % 2).tolist(), users.tolist())
    row = reliability_table(forecast).row(0, named=True)
    assert row["observed"] == 0.5
    assert row["high"] - row["low"] > 0.3  # were each row a case of its own: 0.04


def test_intervals_hold_the_truth_nearly_always() -> None:
    forecast = crossfitted(scored_rows(n_users=200, n_rows=100, seed=3))
    table = reliability_table(forecast)
    assert table.height == 10
    assert table["predicted"].is_sorted()
    assert ((table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])).sum() >= 8


@pytest.mark.parametrize("n_users", [0, 1])
def test_too_few_users_for_halves_leave_everything_undefined(n_users: int) -> None:
    forecast = crossfitted(scored_rows().head(n_users * 50))
    assert forecast.is_empty()
    scores = forecast_scores(forecast)
    assert scores.height == 4
    assert scores.select("predicted", "observed", "brier", "log_loss", "calibration_error").to_numpy().size == 20
    assert np.isnan(scores.select("predicted", "observed", "brier", "log_loss", "calibration_error").to_numpy()).all()
    assert reliability_table(forecast).is_empty()


def test_a_half_without_any_like_leaves_everything_undefined() -> None:
    scored = scored_rows(n_users=10)
    one_user = scored.with_columns(label=pl.when(pl.col("user_id") == 3).then("label").otherwise(0).cast(pl.Int8))
    assert crossfitted(one_user).is_empty()


def test_a_user_of_two_windows_has_a_list_in_each() -> None:
    """The first of each list is liked, nothing else is; taken as one list, the second would lose its first place."""
    one = pl.DataFrame(
        {"user_id": 1, "label": [1, 0, 0], "score": [3.0, 2.0, 1.0], "calibrated": 0.5, "base_rate": 0.5}
    )
    both = pl.concat(
        [one.with_columns(window=pl.lit("a")), one.with_columns(window=pl.lit("b"), score=pl.col("score") - 9)]
    )
    shown = forecast_scores(both, k=1).filter(rows="first 1")
    assert shown["n"].to_list() == [2, 2]
    assert shown["observed"].to_list() == [1.0, 1.0]
