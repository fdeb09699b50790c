"""What do missing and stale features cost?

Usage:
    python -m benchmarks.degraded

Each row asks the users of the last development window again with something taken away, of the tower that was there when
the window began and of the window's ranker, neither of which had seen it: NDCG@10 and recall@100 over all users, and
the paired difference of NDCG@10 to the whole system with its 95 % bootstrap interval. Nothing is trained. Where a
default stands for what is gone, the last rows show what the alternatives would do: leave a gap, or go on with the old
value.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets.resources import lake_root
from recsys_core.data.splits import Splits, fit_ratings
from recsys_core.evaluation.accuracy import per_user_metrics
from recsys_core.evaluation.lists import lists_table
from recsys_core.evaluation.protocols import FROZEN, Examination, Questions
from recsys_core.evaluation.rendering import markdown_table
from recsys_core.features.registry import names_of
from recsys_core.features.slices import of_slice
from recsys_core.features.tables import item_features
from recsys_core.lake.store import Lake
from recsys_core.metrics.uncertainty import paired_difference
from recsys_core.ranking.inputs import Proposer, candidate_features, propose, proposer_of
from recsys_core.ranking.lists import rank_by_features
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.rankers import load_examined
from recsys_core.retrieval.storage import load_tower
from recsys_core.retrieval.training import FittedTower
from recsys_core.seeding import child
from recsys_core.tables import read_table

Float32s = npt.NDArray[np.float32]
YEAR = 365 * 86_400
ITEM_FEATURES = slice(0, len(names_of("item")))


@dataclass(frozen=True, kw_only=True)
class Exam:
    """The last development window, and the models that answer it: those that were there when it began."""

    movies: pl.DataFrame
    questions: Questions
    seen: pl.DataFrame  # ratings that the models were fitted on
    items: pl.DataFrame  # item_features as of the cut-off
    tower: FittedTower
    ranker: Ranker

    @property
    def known(self) -> pl.DataFrame:
        """What is known of the users when asking."""
        return self.questions.known

    @classmethod
    def read(cls, lake: Lake) -> "Exam":
        """Of the current artifacts."""
        ratings, splits = read_table(lake.open("ratings") / "every_rating.parquet"), Splits.load(lake.open("splits"))
        window = splits.development[-1]
        first = splits.slices_of(window)[0]
        (asked,) = [one for one in Examination.of(ratings, splits).questions(first) if one.protocol == FROZEN]
        return cls(
            movies=read_table(lake.open("movies") / "movies.parquet"),
            questions=asked,
            seen=fit_ratings(ratings, splits, first),
            items=of_slice(read_table(lake.open("item_features") / "item_features.parquet"), first),
            tower=load_tower(lake.open("two_tower"), first),
            ranker=load_examined(lake.open("ranker"), window),
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
            self.questions.requests,
            n_candidates=self.ranker.n_candidates,
        )
        features = candidate_features(inputs)
        if edit is not None:
            edit(features)
        ranked = rank_by_features(self.ranker, inputs.candidates, features)
        lists = lists_table("ours", inputs.users.user_ids, ranked.item_idx, self.tower.catalogue)
        return per_user_metrics(lists, self.questions.targets).sort("user_id")


def conditions(exam: Exam) -> dict[str, pl.DataFrame]:
    """Each row of the table: what was taken away, and every user's metrics then."""
    cutoff, seen = exam.tower.fit_end, exam.seen
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
    exam = Exam.read(Lake(root))
    found = conditions(exam)
    print(f"{exam.questions.window}, {found['whole'].height} users\n")
    print(table(found))


if __name__ == "__main__":
    main(lake_root())
