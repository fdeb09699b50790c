"""What ranking adds, which features carry it, and whether its probabilities can be taken at their word.

Everything is asked on the development windows, of rankers that had not seen them; the last two windows are left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.metrics.uncertainty import Estimate, paired_difference
from recsys_core.ranking.calibration_report import (
    BASE_RATE,
    CALIBRATED,
    crossfitted,
    forecast_scores,
    reliability_table,
)
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.explanations import importance
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.rankers import scored_window
from recsys_core.ranking.validation import validate_ranker
from recsys_core.seeding import child
from recsys_core.tables import load_tables, save_tables


@dataclass(frozen=True, kw_only=True)
class RankingReport:
    """Tables of the report.

    Attributes:
        per_user: window, then `validate_ranker`: both orders.
        importance: `explanations.importance`.
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
        """The figures worth following from run to run."""
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


def ranking_report(examples: RankingExamples, examined: Mapping[str, Ranker]) -> RankingReport:
    """Judge the rankers on the development windows, each on the one that it had not seen, and explain the last.

    The ranker that serves knows every window. Its own training rows would do to explain it, but not to judge it, and
    trees look busier on the rows that they grew on.

    Args:
        examples: the rows of all windows.
        examined: a ranker for each development window, fitted before it.
    """
    windows = examples.development
    per_user = [
        validate_ranker(examined[window], examples, window).select(pl.lit(window).alias("window"), pl.all())
        for window in windows
    ]
    scored = pl.concat(
        [scored_window(examined[window], examples, window).with_columns(window=pl.lit(window)) for window in windows]
    )
    forecast = crossfitted(scored)
    last = windows[-1]
    return RankingReport(
        per_user=pl.concat(per_user),
        importance=importance(examined[last], examples.of_window(last).select(FEATURE_NAMES).to_numpy()),
        forecasts=forecast_scores(forecast),
        reliability=reliability_table(forecast),
    )
