"""What do missing and stale features cost?

Usage:
    python -m benchmarks.degraded

Each row asks the validation slice's requests again with something taken away, of the ranker's rehearsal, which never
saw that slice: NDCG@10 and recall@100 over all users, and the paired difference of NDCG@10 to the whole system with its
95 % bootstrap interval. Nothing is trained. Where a default stands for what is gone, the last rows show what the
alternatives would do: leave a gap, or go on with the old value.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets.resources import lake_root
from recsys_core.data.splits import VALIDATION, Splits, fit_ratings, known_ratings
from recsys_core.evaluation.accuracy import per_user_metrics
from recsys_core.evaluation.lists import lists_table
from recsys_core.evaluation.rendering import markdown_table
from recsys_core.features.registry import names_of
from recsys_core.features.slices import of_slice
from recsys_core.features.tables import item_features
from recsys_core.lake.store import Lake
from recsys_core.metrics.uncertainty import paired_difference
from recsys_core.ranking.inputs import Proposer, candidate_features, propose, proposer_of
from recsys_core.ranking.lists import rank_by_features
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.rehearsal import load_rehearsal
from recsys_core.retrieval.storage import load_tower
from recsys_core.retrieval.training import FittedTower
from recsys_core.seeding import child
from recsys_core.tables import read_table

Float32s = npt.NDArray[np.float32]
YEAR = 365 * 86_400
ITEM_FEATURES = slice(0, len(names_of("item")))


@dataclass(frozen=True, kw_only=True)
class Exam:
    """The validation slice and those who answer it."""

    ratings: pl.DataFrame
    movies: pl.DataFrame
    splits: Splits
    items: pl.DataFrame  # item_features as of the cut-off
    tower: FittedTower
    ranker: Ranker

    @property
    def known(self) -> pl.DataFrame:
        """What is known of the users when asking."""
        return known_ratings(self.ratings, self.splits, VALIDATION)

    @classmethod
    def read(cls, lake: Lake) -> "Exam":
        """Of the current artifacts."""
        return cls(
            ratings=read_table(lake.open("ratings") / "ratings.parquet"),
            movies=read_table(lake.open("movies") / "movies.parquet"),
            splits=Splits.load(lake.open("splits")),
            items=of_slice(read_table(lake.open("item_features") / "item_features.parquet"), VALIDATION),
            tower=load_tower(lake.open("two_tower"), VALIDATION),
            ranker=load_rehearsal(lake.open("ranker")),
        )

    def asked(
        self,
        *,
        items: pl.DataFrame | None = None,
        known: pl.DataFrame | None = None,
        edit: Callable[[Float32s], None] | None = None,
        as_of: int | None = None,
    ) -> pl.DataFrame:
        """Every user's metrics, with other items, other histories, edited features, or items of another date."""
        proposer: Proposer = proposer_of(self.tower, self.items if items is None else items)
        if as_of is not None:
            proposer = replace(proposer, side=replace(proposer.side, as_of=as_of))
        inputs = propose(
            proposer,
            self.known if known is None else known,
            self.splits.requests(VALIDATION),
            n_candidates=self.ranker.n_candidates,
        )
        features = candidate_features(inputs)
        if edit is not None:
            edit(features)
        ranked = rank_by_features(self.ranker, inputs.candidates, features)
        lists = lists_table("ours", inputs.users.user_ids, ranked.item_idx, self.tower.catalogue)
        return per_user_metrics(lists, self.splits.targets.filter(slice=VALIDATION)).sort("user_id")


def conditions(exam: Exam) -> dict[str, pl.DataFrame]:
    """Each row of the table: what was taken away, and every user's metrics then."""
    cutoff = exam.splits.fit_end(VALIDATION)
    seen = fit_ratings(exam.ratings, exam.splits, VALIDATION)
    unknown = child(17, "benchmarks", "degraded").random(exam.items.height) < 0.2
    long_ago = {years: item_features(seen, exam.movies, cutoff - years * YEAR) for years in (1, 3)}
    centuries_ago = cutoff - 100 * YEAR
    return {
        "whole": exam.asked(),
        "unknown user: empty history": exam.asked(known=exam.known.head(0)),
        "the user's latest 5 ratings not yet known": exam.asked(known=_without_latest(exam.known, 5)),
        "20 % of the items unknown": exam.asked(items=exam.items.filter(~pl.Series(unknown))),
        "all items unknown": exam.asked(items=exam.items.head(0)),
        "no years of release": exam.asked(items=exam.items.with_columns(year=None, item_age_years=None)),
        "no genres": exam.asked(items=exam.items.with_columns(genres=pl.lit([], dtype=pl.List(pl.String)))),
        "item features stale, defaults instead": exam.asked(as_of=centuries_ago),
        "item features stale, gaps instead": exam.asked(edit=_gaps),
        "item features a year older, used as they are": exam.asked(items=_aged(exam.items, long_ago[1])),
        "item features three years older, used as they are": exam.asked(items=_aged(exam.items, long_ago[3])),
    }


def _without_latest(known: pl.DataFrame, n: int) -> pl.DataFrame:
    from_end = pl.col("timestamp").rank("ordinal", descending=True).over("user_id")
    return known.filter(from_end > n)


def _aged(items: pl.DataFrame, older: pl.DataFrame) -> pl.DataFrame:
    """The older features; an item that came since is unknown, and keeps what is no feature."""
    features = [name for name in items.columns if name.startswith("item_") and name != "item_id"]
    kept = items.drop(features)
    return kept.join(older.select("item_id", *features), on="item_id", how="left", maintain_order="left")


def _gaps(features: Float32s) -> None:
    features[..., ITEM_FEATURES] = np.nan


def table(found: dict[str, pl.DataFrame]) -> str:
    """A row per condition."""
    whole = found["whole"]["ndcg@10"].to_numpy()
    rows = []
    for name, metrics in found.items():
        ndcg = metrics["ndcg@10"].to_numpy()
        lost = paired_difference(ndcg, whole, child(17, "bootstrap"))
        difference = "" if name == "whole" else f"{lost.mean:+.4f} [{lost.low:+.4f}, {lost.high:+.4f}]"
        rows.append([name, f"{ndcg.mean():.4f}", difference, f"{metrics['recall@100'].to_numpy().mean():.4f}"])
    return markdown_table(["taken away", "NDCG@10", "difference [95 %]", "recall@100"], rows)


def main(root: Path) -> None:
    """Print the table."""
    found = conditions(Exam.read(Lake(root)))
    print(f"validation slice, {found['whole'].height} users\n")
    print(table(found))


if __name__ == "__main__":
    main(lake_root())
