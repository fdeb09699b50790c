"""The development windows, judged together: settings are compared on these windows before any other is read.

Their queries are answered by the refitted protocol. Answers to one user in several windows form one cluster of the
bootstrap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl

from recsys_core.data.splits import Splits
from recsys_core.evaluation.protocols import REFITTED, EvaluationQuestions, Questions
from recsys_core.features.tables import of_slice
from recsys_core.lake.store import Lake
from recsys_core.metrics.uncertainty import Estimate, paired_difference
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.rankers import load_window_ranker
from recsys_core.retrieval.model import RetrievalModel, load_retrieval_model
from recsys_core.seeding import child
from recsys_core.tables import read_table

KEYS = ("window", "user_id")


@dataclass(frozen=True, kw_only=True)
class DevelopmentSlice:
    """The queries of one slice, and the models that had not seen the answers."""

    name: str  # of the slice
    fit_end: int  # seconds UTC
    ratings: pl.DataFrame  # every rating that was ever given
    movies: pl.DataFrame
    questions: Questions
    items: pl.DataFrame  # item_features as of the cut-off
    model: RetrievalModel
    ranker: Ranker

    @classmethod
    def read(cls, lake: Lake) -> list[Self]:
        """Every slice of the development windows that has queries, from the current artifacts."""
        ratings = read_table(lake.open("ratings") / "every_rating.parquet")
        movies = read_table(lake.open("movies") / "movies.parquet")
        splits = Splits.load(lake.open("splits"))
        items = read_table(lake.open("item_features") / "item_features.parquet")
        return [
            cls(
                name=name,
                fit_end=splits.fit_end(name),
                ratings=ratings,
                movies=movies,
                questions=one,
                items=of_slice(items, name),
                model=load_retrieval_model(lake.open("two_tower"), name),
                ranker=load_window_ranker(lake.open("ranker"), one.window),
            )
            for name, one in development_questions(ratings, splits)
        ]


def development_questions(ratings: pl.DataFrame, splits: Splits) -> list[tuple[str, Questions]]:
    """The queries of each slice of the development windows, by the slice's name."""
    evaluation = EvaluationQuestions.of(ratings, splits)
    names = [name for window in splits.development for name in splits.slices_of(window)]
    asked = [(name, one) for name in names for one in evaluation.questions(name)]
    return [(name, one) for name, one in asked if one.protocol == REFITTED]


def until_development_ends(splits: Splits) -> Splits:
    """The chain up to the last development window: all that a trial of a setting has to train."""
    last = splits.slices_of(splits.development[-1])[-1]
    names = splits.names[: splits.names.index(last) + 1]
    tables = (table.filter(pl.col("slice").is_in(names)) for table in (splits.cutoffs, splits.users, splits.targets))
    cutoffs, users, targets = tables
    return Splits(cutoffs=cutoffs, users=users, targets=targets)


def difference(ours: pl.DataFrame, theirs: pl.DataFrame, metric: str) -> Estimate:
    """Ours minus theirs over the same answers, where both are defined, with its 95 % interval over users.

    Args:
        ours: window, user_id and the metric, a row for each answer.
        theirs: likewise, of the same answers in any order.
        metric: the column; NaN where it is undefined.
    """
    one, other = (table.sort(*KEYS) for table in (ours, theirs))
    both = one[metric].is_not_nan() & other[metric].is_not_nan()
    return paired_difference(
        one.filter(both)[metric].to_numpy(),
        other.filter(both)[metric].to_numpy(),
        child(17, "bootstrap"),
        clusters=one.filter(both)["user_id"].to_numpy(),
    )


def signed(estimate: Estimate) -> str:
    """A difference with its interval, as the tables show it."""
    return f"{estimate.mean:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def chance_note(n_variants: int) -> str:
    """A warning below a table of many comparisons."""
    return (
        f"{n_variants} variants beside the first row. By chance alone, {n_variants / 20:.1f} of their intervals would "
        "exclude 0."
    )


def answers(slices: Sequence[DevelopmentSlice]) -> int:
    """The number of answers."""
    return sum(one.questions.requests.height for one in slices)
