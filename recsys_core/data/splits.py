"""The past as a chain of questions: what a model may know, what is known of each user when asked, what is to be found.

The ratings are cut into *windows* of time, and each window into steps. A *slice* is one step: its models are fitted on
everything before the slice's `fit_end`. Each user of a window is asked once, in the middle of their activity within the
window (the `cut`), by the models of the step that the cut falls into; liked items after the cut are the targets. So
every answer comes from models that are about as old as those of a system that is refitted as it is run, and nobody's
answer depends on anybody's later ratings.

Every window but the first few examines the models of its time, and its questions and answers teach the rankers of the
windows after it. The last window is the test; settings are chosen on the windows before the last two. The slice `now`
ends the chain: its models are fitted on everything and serve, and it asks nobody.

A *hold-out* is a slice of another kind, for judges who ask about each user's own latest likes (`recsys bench rank`): it
takes these likes away from what its models may see.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.data.histories import Int64s
from recsys_core.metrics.relevance import ItemSets
from recsys_core.tables import read_table, write_table

TEST = "test"
"""The last window."""

NOW = "now"
"""The slice whose models are fitted on everything and serve."""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """All slices, in the order of the chain.

    Attributes:
        cutoffs: slice; window; fit_end (first second that no model of the slice may see); until (end of the window,
            exclusive: from then on the answers are known); is_exam (whether the window examines models, or only
            teaches).
        users: slice, user_id, cut: who is asked, and the first second of theirs that is not known when asking.
        targets: slice + RATINGS columns: liked items to be found, at or after the cut.
    """

    cutoffs: pl.DataFrame
    users: pl.DataFrame
    targets: pl.DataFrame

    @property
    def names(self) -> list[str]:
        """Slice names, the earliest first."""
        return self.cutoffs["slice"].to_list()

    @property
    def asking(self) -> list[str]:
        """Names of the slices that ask anybody."""
        asked = set(self.users["slice"])
        return [name for name in self.names if name in asked]

    @property
    def exams(self) -> list[str]:
        """Windows that examine models, the earliest first; the last is the test."""
        return exams_of(self.cutoffs)

    @property
    def development(self) -> list[str]:
        """The windows that settings are chosen on: those that examine, without the last two."""
        return chosen_on(self.exams)

    @property
    def last_until(self) -> int:
        """First second by which all answers are known."""
        return int(self.cutoffs["until"].max())  # type: ignore[arg-type]  # never null

    def without(self, name: str) -> "Splits":
        """The chain without one slice."""
        tables = (table.filter(pl.col("slice") != name) for table in (self.cutoffs, self.users, self.targets))
        cutoffs, users, targets = tables
        return Splits(cutoffs=cutoffs, users=users, targets=targets)

    @property
    def exam_slices(self) -> list[str]:
        """The slices of the windows that examine, the earliest first."""
        return self.cutoffs.filter("is_exam")["slice"].to_list()

    def slices_of(self, window: str) -> list[str]:
        """The slices of a window, the earliest first."""
        return self.cutoffs.filter(window=window)["slice"].to_list()

    def window_of(self, name: str) -> str:
        """The window that a slice belongs to."""
        return str(self.cutoffs.filter(slice=name)["window"].item())

    def fit_end(self, name: str) -> int:
        """First second that no model of the slice may see."""
        return int(self.cutoffs.filter(slice=name)["fit_end"].item())

    def until(self, name: str) -> int:
        """First second after the window of a slice: all answers to its questions are known by then."""
        return int(self.cutoffs.filter(slice=name)["until"].item())

    def start_of(self, window: str) -> int:
        """First second of a window."""
        return self.fit_end(self.slices_of(window)[0])

    def users_of(self, name: str) -> Int64s:
        """(n_users,) ids of the users asked in a slice, ascending."""
        return self.users.filter(slice=name)["user_id"].sort().to_numpy()

    def requests(self, name: str) -> pl.DataFrame:
        """user_id, requested_at: who is asked in a slice, and when: at the cut. Sorted by user_id."""
        return self.users.filter(slice=name).sort("user_id").select("user_id", requested_at="cut")

    def save(self, folder: Path) -> None:
        """Write the slices; test targets lie in a file of their own, so that reading them is a visible act."""
        is_test = pl.col("slice").is_in(self.slices_of(TEST))
        write_table(self.cutoffs, folder / "cutoffs.parquet")
        write_table(self.users, folder / "users.parquet")
        write_table(self.targets.filter(~is_test), folder / "targets.parquet")
        write_table(self.targets.filter(is_test), folder / "test_targets.parquet")

    @classmethod
    def load(cls, folder: Path, *, with_test_targets: bool = False) -> "Splits":
        """Read the slices.

        The ranker that serves learns from the answers of the test window as well, after everything has been examined;
        all that examines or chooses runs without them.
        """
        targets = read_table(folder / "targets.parquet")
        if with_test_targets:
            targets = pl.concat([targets, read_table(folder / "test_targets.parquet")])
        return cls(
            cutoffs=read_table(folder / "cutoffs.parquet"),
            users=read_table(folder / "users.parquet"),
            targets=targets,
        )


def exams_of(cutoffs: pl.DataFrame) -> list[str]:
    """The windows of `Splits.cutoffs` that examine models, the earliest first."""
    return cutoffs.filter("is_exam")["window"].unique(maintain_order=True).to_list()


def chosen_on(exams: list[str]) -> list[str]:
    """The windows that settings are chosen on: of those that examine, in order, all but the last two."""
    return exams[:-2]


def fit_ratings(ratings: pl.DataFrame, splits: Splits, name: str) -> pl.DataFrame:
    """The ratings, or clicks, that models of a slice may be fitted on, in the order given.

    Everything strictly before its cut-off, but of the slice's own users only what lies strictly before their cut. Of
    each user and item the latest of these counts: what replaced it later was not known.
    """
    before = ratings.filter(pl.col("timestamp") < splits.fit_end(name))
    allowed = _with_cuts(before, splits, name, "left").filter(
        pl.col("cut").is_null() | (pl.col("timestamp") < pl.col("cut"))
    ).drop("cut")  # fmt: skip
    return _latest(allowed)


def known_ratings(ratings: pl.DataFrame, splits: Splits, name: str) -> pl.DataFrame:
    """All that is known of each user of a slice when asked: the latest rating of each item strictly before the cut."""
    known = _with_cuts(ratings, splits, name, "inner").filter(pl.col("timestamp") < pl.col("cut")).drop("cut")
    return _latest(known)


def relevant_items(targets: pl.DataFrame, user_ids: Int64s) -> ItemSets:
    """The targets of each user in the order of `user_ids`: item ids, not item_idx, since some are in no catalogue."""
    wanted = targets.filter(pl.col("user_id").is_in(user_ids.tolist())).sort("user_id", "item_id")
    at = np.searchsorted(user_ids, wanted["user_id"].to_numpy())
    counts = np.bincount(at, minlength=len(user_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ItemSets(offsets=offsets, items=wanted["item_id"].to_numpy())


def _latest(ratings: pl.DataFrame) -> pl.DataFrame:
    """The last row of each user and item; the tables are in order of time."""
    return ratings.unique(["user_id", "item_id"], keep="last", maintain_order=True)


def _with_cuts(ratings: pl.DataFrame, splits: Splits, name: str, how: str) -> pl.DataFrame:
    cuts = splits.users.filter(slice=name).select("user_id", "cut")
    return ratings.join(cuts, on="user_id", how=how, maintain_order="left")  # type: ignore[arg-type]
