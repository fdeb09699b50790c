"""What ranking adds, and which features carry it."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_core.metrics.uncertainty import Estimate, paired_difference
from recsys_core.ranking.config import RankerConfig
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.validation import fit_before_validation, validate_ranker
from recsys_core.seeding import child
from recsys_core.tables import load_tables, save_tables


@dataclass(frozen=True, kw_only=True)
class RankingReport:
    """Tables of the report.

    Attributes:
        per_user: `validate_ranker`: both orders on the validation slice, of a ranker that never saw it.
        importance: `Ranker.importance` of the ranker that serves.
    """

    per_user: pl.DataFrame
    importance: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write one Parquet file per table."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "RankingReport":
        """Read all tables."""
        return load_tables(cls, folder)

    def gain(self, seed: int = 17) -> Estimate:
        """NDCG of the ranker's order minus that of retrieval, paired by user, with its 95 % interval."""
        ours = self.per_user.filter(order="ranking").sort("user_id")["ndcg"].to_numpy()
        theirs = self.per_user.filter(order="retrieval").sort("user_id")["ndcg"].to_numpy()
        return paired_difference(ours, theirs, child(seed, "bootstrap"))

    def headline(self) -> dict[str, float]:
        """The figures worth following from run to run."""
        means = self.per_user.group_by("order").agg(pl.col("ndcg", "map").mean()).rows_by_key("order", unique=True)
        gain = self.gain()
        return {
            "ndcg@10": means["ranking"][0],
            "map@10": means["ranking"][1],
            "retrieval_ndcg@10": means["retrieval"][0],
            "retrieval_map@10": means["retrieval"][1],
            "ndcg_gain": gain.mean,
            "ndcg_gain_low": gain.low,
            "ndcg_gain_high": gain.high,
        }


def ranking_report(examples: RankingExamples, ranker: Ranker, config: RankerConfig) -> RankingReport:
    """Judge the settings on the validation slice, and describe the ranker that serves.

    Args:
        examples: the rows that the ranker was trained on.
        ranker: the one that serves; it knows the validation slice and is not judged on it.
        config: the settings that it was trained with.
    """
    earlier = fit_before_validation(examples, config)
    return RankingReport(per_user=validate_ranker(earlier, examples), importance=ranker.importance())
