"""Global cut-offs in time: what a model may know, what a user did just before, and what it is asked to find.

A slice is one moment of the past replayed: models may be fitted on ratings before `fit_end`; each user active between
`fit_end` and `until` shows the first half of that activity as fresh context, and the likes of the second half are the
targets. The last slice is `test`, the one before it `validation`, and the earlier ones teach the ranker, which
therefore learns from candidates of a retriever that never saw its labels.

The recommended items of one user never depend on another user's later ratings: a random split would leak them.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.data.config import SplitsConfig
from recsys_core.data.histories import Int64s
from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.errors import DataError
from recsys_core.metrics.relevance import ItemSets
from recsys_core.tables import read_table, write_table

TEST = "test"
VALIDATION = "validation"


@dataclass(frozen=True, kw_only=True)
class Splits:
    """All slices, oldest first.

    Attributes:
        cutoffs: slice, fit_end (first second that no model of the slice may see), until (end of the slice, exclusive).
        users: slice, user_id: who is evaluated; they have a target, and a past or a fresh context to start from.
        contexts: slice + RATINGS columns: what these users rated after `fit_end` and strictly before their targets.
        targets: slice + RATINGS columns: liked items to be found.
    """

    cutoffs: pl.DataFrame
    users: pl.DataFrame
    contexts: pl.DataFrame
    targets: pl.DataFrame

    @property
    def names(self) -> list[str]:
        """Slice names, oldest first."""
        return self.cutoffs["slice"].to_list()

    def fit_end(self, name: str) -> int:
        """First second that no model of the slice may see."""
        return int(self.cutoffs.filter(slice=name)["fit_end"].item())

    def users_of(self, name: str) -> Int64s:
        """(n_users,) ids of the users evaluated in a slice, ascending."""
        return self.users.filter(slice=name)["user_id"].sort().to_numpy()

    def save(self, folder: Path) -> None:
        """Write the slices; test targets lie in a file of their own, so that reading them is a visible act."""
        write_table(self.cutoffs, folder / "cutoffs.parquet")
        write_table(self.users, folder / "users.parquet")
        write_table(self.contexts, folder / "contexts.parquet")
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
            contexts=read_table(folder / "contexts.parquet"),
            targets=targets,
        )


def make_splits(ratings: pl.DataFrame, config: SplitsConfig) -> Splits:
    """Cut the ratings at quantiles of time.

    Raises:
        DataError: the ratings are too few, or too many of them share one second, for the cut-offs to differ.
    """
    cutoffs = _cutoffs(ratings, config)
    slices = [_slice(ratings, name, start, end) for name, start, end in cutoffs.iter_rows()]
    targets = pl.concat([targets for _, targets in slices])
    return Splits(
        cutoffs=cutoffs,
        users=targets.select("slice", "user_id").unique().sort("slice", "user_id"),
        contexts=pl.concat([context for context, _ in slices]),
        targets=targets,
    )


def fit_ratings(ratings: pl.DataFrame, splits: Splits, name: str) -> pl.DataFrame:
    """The ratings that models of a slice may be fitted on: strictly before its cut-off."""
    return ratings.filter(pl.col("timestamp") < splits.fit_end(name))


def slice_contexts(ratings: pl.DataFrame, splits: Splits, name: str) -> pl.DataFrame:
    """All that is known of each user of a slice before the targets: the past before the cut-off, then the context."""
    fresh = splits.contexts.filter(slice=name).select(*RATINGS_COLUMNS)
    users = splits.users.filter(slice=name).select("user_id")
    return pl.concat([fit_ratings(ratings, splits, name).join(users, on="user_id", how="semi"), fresh])


def leaks(ratings: pl.DataFrame, splits: Splits) -> list[str]:
    """Every way in which the slices break the order of time, as sentences; empty when all is well."""
    rows = splits.cutoffs.rows(named=True)
    found = [f"{row['slice']} ends before it begins" for row in rows if row["fit_end"] >= row["until"]]
    found += [
        f"{row['slice']} ends at {row['until']} but {later['slice']} begins at {later['fit_end']}"
        for row, later in itertools.pairwise(rows)
        if row["until"] > later["fit_end"]
    ]
    for row in rows:
        faults = _faults(ratings, splits, row["slice"], row["until"])
        found += [f"{row['slice']}: {fault}" for fault, is_so in faults.items() if is_so]
    return found


def relevant_items(targets: pl.DataFrame, user_ids: Int64s) -> ItemSets:
    """The targets of each user in the order of `user_ids`: item ids, not item_idx, since some are in no catalogue."""
    wanted = targets.filter(pl.col("user_id").is_in(user_ids.tolist())).sort("user_id", "item_id")
    at = np.searchsorted(user_ids, wanted["user_id"].to_numpy())
    counts = np.bincount(at, minlength=len(user_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ItemSets(offsets=offsets, items=wanted["item_id"].to_numpy())


def _faults(ratings: pl.DataFrame, splits: Splits, name: str, until: int) -> dict[str, bool]:
    """What could be wrong with the rows of one slice, and whether it is."""
    at = pl.col("timestamp")
    known = slice_contexts(ratings, splits, name)
    targets = splits.targets.filter(slice=name)
    wanted_at = targets["timestamp"]
    first = targets.group_by("user_id").agg(first=at.min())
    late = known.join(first, on="user_id").filter(at >= pl.col("first"))
    own = known.join(targets, on=["user_id", "item_id"], how="semi")
    return {
        "a target lies before the cut-off, where models may see it": (wanted_at < splits.fit_end(name)).any(),
        "a target lies after the end of the slice, where a later one is judged": (wanted_at >= until).any(),
        "a context rating lies after the end of the slice": (known["timestamp"] >= until).any(),
        "a target stands in its own user's context": not own.is_empty(),
        "a context rating is as late as the targets it should precede": not late.is_empty(),
    }


def _cutoffs(ratings: pl.DataFrame, config: SplitsConfig) -> pl.DataFrame:
    shares = [1 - config.test_share, 1 - config.test_share - config.validation_share]
    shares += [shares[-1] - config.training_slice_share * (n + 1) for n in range(config.n_training_slices)]
    if min(shares) <= 0:
        raise DataError("the slices need more than all ratings: lower n_training_slices or the shares in SplitsConfig")
    names = [f"train_{n + 1}" for n in range(config.n_training_slices)] + [VALIDATION, TEST]
    stamps = ratings["timestamp"].sort()
    starts = [int(stamps[int(len(stamps) * share)]) for share in sorted(shares)] if len(stamps) else []
    if len(set(starts)) < len(names) or starts[0] == stamps[0]:
        raise DataError(
            f"{len(stamps)} ratings cannot be cut into {len(names)} slices of time: too few, or too many in one "
            "second; use more data or fewer slices (SplitsConfig)"
        )
    ends = [*starts[1:], int(stamps[-1]) + 1]
    return pl.DataFrame({"slice": names, "fit_end": starts, "until": ends})


def _slice(ratings: pl.DataFrame, name: str, start: int, end: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(context, targets) of one slice, both with the slice's name in front."""
    active = ratings.filter(pl.col("timestamp").is_between(start, end, closed="left"))
    halves = active.sort("user_id", "timestamp", "item_id").with_columns(
        # Rows of the same second as the first target are not known before it: they count as targets, not as context.
        middle=pl.col("timestamp").get(pl.len() // 2).over("user_id")
    )
    is_context = pl.col("timestamp") < pl.col("middle")
    named = halves.select(pl.lit(name).alias("slice"), *RATINGS_COLUMNS, is_context.alias("is_context"))
    targets = named.filter(~pl.col("is_context") & (pl.col("rating") >= LIKED)).drop("is_context")
    known = pl.concat(
        [ratings.filter(pl.col("timestamp") < start).select("user_id"), named.filter("is_context").select("user_id")]
    )
    targets = targets.join(known, on="user_id", how="semi", maintain_order="left")
    context = named.filter("is_context").drop("is_context")
    context = context.join(targets, on="user_id", how="semi", maintain_order="left")
    return context, targets
