"""Slices of the past: what a model may know, what is known of each user when asked, and what is to be found.

A slice is one question asked of the past. Each of its users has a `cut`, the first second of which nothing is known.
A model of the slice may be fitted on ratings before the slice's `fit_end`, and of its users only on those before their
cut; the user is asked with everything before the cut; liked items at or after it are the targets.

There are two kinds. An *exam* (validation, test) is a period of time: `fit_end` is its beginning, the cut lies in the
middle of each user's activity within it, and so nobody's recommendations depend on anybody's later ratings. A
*hold-out* (`test_holdout_15`) teaches the ranker for an exam: it takes the latest likes of every user away from what
came before the exam. Its models know other users' ratings of the same days, as the serving model knows everybody's.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.data.histories import Int64s
from recsys_core.metrics.relevance import ItemSets
from recsys_core.tables import read_table, write_table

TEST = "test"
VALIDATION = "validation"
EXAMS = (VALIDATION, TEST)


@dataclass(frozen=True, kw_only=True)
class Splits:
    """All slices, each exam after its hold-outs.

    Attributes:
        cutoffs: slice, fit_end (first second that no model of the slice may see), until (end of the slice, exclusive).
        users: slice, user_id, cut: who is asked, and the first second of theirs that is not known when asking.
        targets: slice + RATINGS columns: liked items to be found, at or after the cut.
    """

    cutoffs: pl.DataFrame
    users: pl.DataFrame
    targets: pl.DataFrame

    @property
    def names(self) -> list[str]:
        """Slice names: those of the validation, then those of the test."""
        return self.cutoffs["slice"].to_list()

    def holdouts(self, exam: str) -> list[str]:
        """Names of the hold-outs from which the ranker learns for an exam."""
        return [name for name in self.names if name.startswith(holdout_prefix(exam))]

    def fit_end(self, name: str) -> int:
        """First second that no model of the slice may see."""
        return int(self.cutoffs.filter(slice=name)["fit_end"].item())

    def users_of(self, name: str) -> Int64s:
        """(n_users,) ids of the users asked in a slice, ascending."""
        return self.users.filter(slice=name)["user_id"].sort().to_numpy()

    def requests(self, name: str) -> pl.DataFrame:
        """user_id, requested_at: who is asked in a slice, and when: at the cut. Sorted by user_id."""
        return self.users.filter(slice=name).sort("user_id").select("user_id", requested_at="cut")

    def save(self, folder: Path) -> None:
        """Write the slices; test targets lie in a file of their own, so that reading them is a visible act."""
        write_table(self.cutoffs, folder / "cutoffs.parquet")
        write_table(self.users, folder / "users.parquet")
        write_table(self.targets.filter(pl.col("slice") != TEST), folder / "targets.parquet")
        write_table(self.targets.filter(pl.col("slice") == TEST), folder / "test_targets.parquet")

    @classmethod
    def load(cls, folder: Path, *, with_test_targets: bool = False) -> "Splits":
        """Read the slices. Only the final evaluation asks for the test targets; all else runs without them."""
        targets = read_table(folder / "targets.parquet")
        if with_test_targets:
            targets = pl.concat([targets, read_table(folder / "test_targets.parquet")])
        return cls(
            cutoffs=read_table(folder / "cutoffs.parquet"),
            users=read_table(folder / "users.parquet"),
            targets=targets,
        )


def holdout_prefix(exam: str) -> str:
    """How the names of the hold-outs for an exam begin."""
    return f"{exam}_holdout_"


def fit_ratings(ratings: pl.DataFrame, splits: Splits, name: str) -> pl.DataFrame:
    """The ratings, or clicks, that models of a slice may be fitted on, in the order given.

    Everything strictly before its cut-off, but of the slice's own users only what lies strictly before their cut.
    """
    before = ratings.filter(pl.col("timestamp") < splits.fit_end(name))
    return _with_cuts(before, splits, name, "left").filter(
        pl.col("cut").is_null() | (pl.col("timestamp") < pl.col("cut"))
    ).drop("cut")  # fmt: skip


def known_ratings(ratings: pl.DataFrame, splits: Splits, name: str) -> pl.DataFrame:
    """All that is known of each user of a slice when asked: everything strictly before the cut."""
    return _with_cuts(ratings, splits, name, "inner").filter(pl.col("timestamp") < pl.col("cut")).drop("cut")


def relevant_items(targets: pl.DataFrame, user_ids: Int64s) -> ItemSets:
    """The targets of each user in the order of `user_ids`: item ids, not item_idx, since some are in no catalogue."""
    wanted = targets.filter(pl.col("user_id").is_in(user_ids.tolist())).sort("user_id", "item_id")
    at = np.searchsorted(user_ids, wanted["user_id"].to_numpy())
    counts = np.bincount(at, minlength=len(user_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ItemSets(offsets=offsets, items=wanted["item_id"].to_numpy())


def _with_cuts(ratings: pl.DataFrame, splits: Splits, name: str, how: str) -> pl.DataFrame:
    cuts = splits.users.filter(slice=name).select("user_id", "cut")
    return ratings.join(cuts, on="user_id", how=how, maintain_order="left")  # type: ignore[arg-type]
