"""The ranking report: the gain over retrieval's order, the importance of features, the calibration of probabilities.

Rankers are evaluated on the development windows after their training rows; the last two windows are not used.

A calibration curve needs other labels for its evaluation than for its fit. So the users are split into two halves, and
the curve of each half is evaluated on the other. Users are split and not rows, because the likes of one user are
correlated. The serving curve is fitted on both halves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.metrics.calibration import (
    brier_score,
    equal_count_bins,
    expected_calibration_error,
    log_loss,
)
from recsys_core.metrics.uncertainty import Estimate, paired_difference, paired_ratio
from recsys_core.ranking.calibration import fit_calibration
from recsys_core.ranking.diagnostics import importance, validate_ranker
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.rankers import scored_window
from recsys_core.ranking.training_rows import RankingExamples
from recsys_core.seeding import child
from recsys_core.tables import load_tables, save_tables

CALIBRATED, BASE_RATE = "calibrated", "base rate"
"""Forecasts: the calibration curve; and a constant, the share of likes among the rows of the other half."""

FORECASTS_SCHEMA = pl.Schema(
    {"forecast": pl.String, "rows": pl.String, "n": pl.Int64, "predicted": pl.Float64, "observed": pl.Float64,
     "brier": pl.Float64, "log_loss": pl.Float64, "calibration_error": pl.Float64}
)  # fmt: skip
RELIABILITY_SCHEMA = pl.Schema(
    {"bin": pl.Int64, "n": pl.Int64, "predicted": pl.Float64, "observed": pl.Float64, "low": pl.Float64,
     "high": pl.Float64}
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RankingReport:
    """Tables of the report.

    Attributes:
        per_user: window, then `validate_ranker`: both orders.
        importance: `diagnostics.importance`.
        forecasts: `forecast_scores`: the calibrated probabilities beside the base rate.
        reliability: `reliability_table`.
    """

    per_user: pl.DataFrame
    importance: pl.DataFrame
    forecasts: pl.DataFrame
    reliability: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write one Parquet file per table."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "RankingReport":
        """Read all tables."""
        return load_tables(cls, folder)

    def gain(self, seed: int = 17) -> Estimate:
        """NDCG of the ranker's order minus that of retrieval, paired by user, with its 95 % interval."""
        ours, theirs = (
            self.per_user.filter(order=order).sort("window", "user_id") for order in ("ranking", "retrieval")
        )
        return paired_difference(
            ours["ndcg"].to_numpy(),
            theirs["ndcg"].to_numpy(),
            child(seed, "bootstrap"),
            clusters=ours["user_id"].to_numpy(),
        )

    def headline(self) -> dict[str, float]:
        """Figures to compare from run to run."""
        means = self.per_user.group_by("order").agg(pl.col("ndcg", "map").mean()).rows_by_key("order", unique=True)
        gain = self.gain()
        ours, constant = (
            self.forecasts.row(by_predicate=(pl.col("forecast") == one) & (pl.col("rows") == "candidates"), named=True)
            for one in (CALIBRATED, BASE_RATE)
        )
        return {
            "ndcg@10": means["ranking"][0],
            "map@10": means["ranking"][1],
            "retrieval_ndcg@10": means["retrieval"][0],
            "retrieval_map@10": means["retrieval"][1],
            "ndcg_gain": gain.mean,
            "ndcg_gain_low": gain.low,
            "ndcg_gain_high": gain.high,
            "base_rate": ours["observed"],
            "calibration_error": ours["calibration_error"],
            "brier": ours["brier"],
            "brier_of_base_rate": constant["brier"],
            "log_loss": ours["log_loss"],
            "log_loss_of_base_rate": constant["log_loss"],
        }


def ranking_report(examples: RankingExamples, window_rankers: Mapping[str, Ranker]) -> RankingReport:
    """Evaluate the rankers of the development windows, each on its window, and explain the last one.

    The serving ranker is trained on every window, so no window can evaluate it. Its training rows would not explain it
    well either: SHAP values are larger on training rows.

    Args:
        examples: the rows of all windows.
        window_rankers: a ranker for each development window, fitted before it.
    """
    windows = examples.development
    per_user = [
        validate_ranker(window_rankers[window], examples, window).select(pl.lit(window).alias("window"), pl.all())
        for window in windows
    ]
    scored = pl.concat(
        [
            scored_window(window_rankers[window], examples, window).with_columns(window=pl.lit(window))
            for window in windows
        ]
    )
    forecast = crossfitted(scored)
    last = windows[-1]
    return RankingReport(
        per_user=pl.concat(per_user),
        importance=importance(window_rankers[last], examples.of_window(last).select(FEATURE_NAMES).to_numpy()),
        forecasts=forecast_scores(forecast),
        reliability=reliability_table(forecast),
    )


def crossfitted(scored: pl.DataFrame, seed: int = 17) -> pl.DataFrame:
    """`scored` with two forecasts of each row, computed without the labels of its user: calibrated, base_rate.

    Args:
        scored: user_id, label, score, of a ranker that was not trained on the labels.
        seed: splits the users into halves.

    Returns:
        No row if a half allows no curve (see `fit_calibration`).
    """
    users = scored["user_id"].unique().sort().to_numpy()
    in_first = child(seed, "calibration halves").permutation(len(users)) < len(users) // 2
    is_first = in_first[np.searchsorted(users, scored["user_id"].to_numpy())]  # (n_rows,)
    scores, labels = scored["score"].to_numpy(), scored["label"].to_numpy()
    calibrated, base_rate = np.empty(scored.height), np.empty(scored.height)
    for judged in (is_first, ~is_first):
        curve = fit_calibration(scores[~judged], labels[~judged])
        if curve is None:
            return scored.clear().with_columns(calibrated=pl.lit(0.0), base_rate=pl.lit(0.0))
        calibrated[judged], base_rate[judged] = curve.probability(scores[judged]), labels[~judged].mean()
    return scored.with_columns(calibrated=calibrated, base_rate=base_rate)


def forecast_scores(forecast: pl.DataFrame, k: int = 10) -> pl.DataFrame:
    """FORECASTS_SCHEMA: the quality of both forecasts over all candidates, and over the first k of each user.

    A curve that is right on average over all candidates may still be wrong for the first k, and users see only these.
    All figures are NaN without rows.

    Args:
        forecast: from `crossfitted`; with a column `window`, a user has a list per window.
        k: length of the list.
    """
    request = [name for name in ("window", "user_id") if name in forecast.columns]
    by_score = forecast.sort("score", descending=True, maintain_order=True)
    shown = by_score.group_by(request, maintain_order=True).head(k)
    rows = []
    for name, some in (("candidates", forecast), (f"first {k}", shown)):
        observed = some["label"].to_numpy() == 1
        for kind, column in ((CALIBRATED, "calibrated"), (BASE_RATE, "base_rate")):
            predicted = some[column].to_numpy()
            means = [float(values.mean()) if len(values) else np.nan for values in (predicted, observed)]
            scores = [score(predicted, observed) for score in (brier_score, log_loss, expected_calibration_error)]
            rows.append((kind, name, some.height, *means, *scores))
    return pl.DataFrame(rows, schema=FORECASTS_SCHEMA, orient="row")


def reliability_table(forecast: pl.DataFrame, n_bins: int = 10, seed: int = 17) -> pl.DataFrame:
    """RELIABILITY_SCHEMA: predicted and observed shares, per bin of equal count, lowest probabilities first.

    The bootstrap resamples users and not rows: rows of one user are correlated, and an interval that treated them as
    independent would be too narrow. In a bin without likes the interval has width 0 and no meaning.

    Args:
        forecast: from `crossfitted`.
        n_bins: number of bins; ties in probability give fewer.
        seed: of the bootstrap.
    """
    predicted, observed = forecast["calibrated"].to_numpy(), forecast["label"].to_numpy() == 1
    users, user_of_row = np.unique(forecast["user_id"].to_numpy(), return_inverse=True)
    bins, rng, rows = equal_count_bins(predicted, n_bins), child(seed, "reliability"), []
    for at in np.unique(bins):
        inside = bins == at
        n_likes = np.bincount(user_of_row[inside], weights=observed[inside], minlength=len(users)).astype(np.float64)
        n_rows = np.bincount(user_of_row[inside], minlength=len(users)).astype(np.float64)
        share = paired_ratio(n_likes, n_rows, rng)
        stated = float(predicted[inside].mean())
        rows.append((int(at) + 1, int(inside.sum()), stated, share.mean, share.low, share.high))
    return pl.DataFrame(rows, schema=RELIABILITY_SCHEMA, orient="row")
