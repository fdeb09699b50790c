"""Protocols: the questions of each window, and ranked lists as tables, the format in which every model answers.

A protocol says which users are asked, and how old the models are that answer them.
"""

from dataclasses import dataclass

import numpy as np
import pandera.polars as pa
import polars as pl

from recsys_core.arrays import Int64s
from recsys_core.data.histories import Catalogue
from recsys_core.data.splits import Splits, known_ratings, newcomers
from recsys_core.metrics.ranked_lists import RankedLists, lists_for, refuse_repeats

REFITTED = "refitted"
"""Each user is answered by models of the step that the question falls into, as in a system in use."""

FROZEN = "frozen"
"""Each user is answered by the models that existed when the window began."""

NEWCOMERS = "newcomers"
"""Users at their first second, without any history, answered by models of the step."""

PROTOCOLS = (REFITTED, FROZEN, NEWCOMERS)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """The questions of one protocol to the models of one slice.

    Attributes:
        protocol: one of PROTOCOLS.
        window: the evaluation window.
        known: RATINGS columns: all ratings of each user that are known when the user asks.
        requests: user_id, requested_at (seconds UTC), sorted by user_id.
        targets: RATINGS columns: liked items to be found.
    """

    protocol: str
    window: str
    known: pl.DataFrame
    requests: pl.DataFrame
    targets: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class EvaluationQuestions:
    """The questions of all evaluation windows: of their users, and of newcomers."""

    ratings: pl.DataFrame  # RATINGS columns, every rating that was ever given
    splits: Splits
    new: Splits

    @classmethod
    def of(cls, ratings: pl.DataFrame, splits: Splits) -> "EvaluationQuestions":
        """The questions of a chain of windows; they hold the targets that the splits were loaded with."""
        return cls(ratings=ratings, splits=splits, new=newcomers(ratings, splits))

    @property
    def slices(self) -> list[str]:
        """The slices whose models are evaluated, the earliest first."""
        return self.splits.evaluation_slices

    def questions(self, name: str) -> list[Questions]:
        """The questions to the models of a slice, by protocol; empty without any user."""
        steps = self.splits.slices_of(self.splits.window_of(name))
        asked = [
            self._asked(REFITTED, self.splits, [name]),
            self._asked(FROZEN, self.splits, steps if name == steps[0] else []),
            self._asked(NEWCOMERS, self.new, [name]),
        ]
        return [one for one in asked if one is not None]

    def _asked(self, protocol: str, splits: Splits, names: list[str]) -> Questions | None:
        asking = [name for name in names if name in splits.asking]
        if not asking:
            return None
        is_own = pl.col("slice").is_in(asking)
        return Questions(
            protocol=protocol,
            window=splits.window_of(asking[0]),
            known=pl.concat([known_ratings(self.ratings, splits, name) for name in asking]),
            requests=pl.concat([splits.requests(name) for name in asking]).sort("user_id"),
            targets=splits.targets.filter(is_own).drop("slice"),
        )


RANKED_LISTS_COLUMNS: dict[str, pl.DataType] = {
    "model": pl.String(),
    "user_id": pl.Int64(),
    "item_id": pl.Int64(),
    "rank": pl.Int64(),
}

RANKED_LISTS = pa.DataFrameSchema(
    {
        "model": pa.Column(pl.String, description="The model."),
        "user_id": pa.Column(pl.Int64, description="The user of the list."),
        "item_id": pa.Column(pl.Int64, description="The recommended item."),
        "rank": pa.Column(pl.Int64, pa.Check.ge(1), description="The place in the list, from 1."),
    },
    name="ranked_lists",
    strict=True,
    ordered=True,
    unique=["model", "user_id", "item_id"],
)
"""One row per (model, user, item): its place in the user's list, from 1."""


def lists_table(model: str, user_ids: Int64s, item_idx: RankedLists, catalogue: Catalogue) -> pl.DataFrame:
    """RANKED_LISTS of one model.

    Repeats are looked for in the arrays and not by the schema, because such a table is made for every model, protocol
    and step, and the schema takes ten times as long.

    Args:
        model: its name in every report.
        user_ids: (n_users,).
        item_idx: (n_users, k), best first, -1 where a list has ended.
        catalogue: translates item_idx to ids.

    Raises:
        DataError: an item appears twice in a list.
    """
    refuse_repeats(item_idx)
    n_users, k = item_idx.shape
    present = (item_idx >= 0).ravel()
    return pl.DataFrame(
        {
            "user_id": np.repeat(user_ids, k)[present],
            "item_id": catalogue.item_ids[item_idx.ravel()[present]],
            "rank": np.tile(np.arange(1, k + 1), n_users)[present],
        }
    ).select(pl.lit(model).alias("model"), pl.all())


def of_window(questions: Questions, table: pl.DataFrame) -> pl.DataFrame:
    """A table with the protocol and the window of some questions in front."""
    return table.select(
        pl.lit(questions.protocol).alias("protocol"), pl.lit(questions.window).alias("window"), pl.all()
    )


def lists_array(table: pl.DataFrame, user_ids: Int64s) -> RankedLists:
    """(n_users, k) item ids of one model's lists, best first; a user without a list gets an empty one (all -1)."""
    listed = table["user_id"].unique().sort().to_numpy()
    array = np.full((len(listed), int(table["rank"].max() or 0)), -1, dtype=np.int64)  # type: ignore[arg-type]
    array[np.searchsorted(listed, table["user_id"].to_numpy()), table["rank"].to_numpy() - 1] = table[
        "item_id"
    ].to_numpy()
    return lists_for(user_ids, listed, array)
