"""Splits by time: the ratings that models may see, the history of each user at a request, and the targets.

The ratings are cut into *windows* of time, and each window into steps. A *slice* is one step: its models are fitted on
everything before the slice's `fit_end`. Each user of a window makes one request, in the middle of their activity within
the window (the `cut`), to the models of the step that contains the cut; liked items after the cut are the targets. So
the models are about as old as those of a production system that is refitted as often, and no result depends on another
user's later ratings.

The first few windows only provide training rows for the rankers of later windows. On all other windows models are also
evaluated. The last window is the test; settings are chosen on the evaluation windows before the last two. The slice
`now` ends the chain: its models are fitted on all ratings and serve, and it has no users.

A *hold-out* is a slice of another kind, for a benchmark on each user's latest likes (`recsys bench rank`): it hides
these likes from its models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.arrays import Int64s
from recsys_core.data.config import HoldoutsConfig, SplitsConfig
from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.errors import DataError
from recsys_core.metrics.ranked_lists import ItemSets
from recsys_core.tables import read_table, write_table

TEST = "test"
"""The last window."""

NOW = "now"
"""The slice whose models are fitted on all ratings and serve."""

_NO_RATINGS = pl.DataFrame(schema=RATINGS_COLUMNS)
_NO_USERS = pl.DataFrame(schema={"user_id": pl.Int64(), "cut": pl.Int64()})


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The windows of a chain and the slices of each.

    Attributes:
        cutoffs: slice; window; fit_end (the models of the slice see ratings strictly before it); until (end of the
            window, exclusive: from then on the answers are known); is_exam (whether models are evaluated on the window;
            the others only provide training rows).
    """

    cutoffs: pl.DataFrame

    @property
    def evaluation_windows(self) -> list[str]:
        """Windows on which models are evaluated, the earliest first; the last is the test."""
        return self.cutoffs.filter("is_exam")["window"].unique(maintain_order=True).to_list()

    @property
    def development(self) -> list[str]:
        """Windows on which settings are chosen: all evaluation windows but the last two."""
        return development_windows(self.evaluation_windows)

    @property
    def evaluation_slices(self) -> list[str]:
        """The slices of the evaluation windows, the earliest first."""
        return self.cutoffs.filter("is_exam")["slice"].to_list()

    def slices_of(self, window: str) -> list[str]:
        """The slices of a window, the earliest first."""
        return self.cutoffs.filter(window=window)["slice"].to_list()

    def window_before(self, window: str) -> str:
        """The window before another."""
        names = self.cutoffs["window"].unique(maintain_order=True).to_list()
        return str(names[names.index(window) - 1])

    def start_of(self, window: str) -> int:
        """First second of a window, UTC."""
        return int(self.cutoffs.filter(window=window)["fit_end"].min())  # type: ignore[arg-type]  # never null

    def end_of(self, window: str) -> int:
        """First second after a window, UTC."""
        return int(self.cutoffs.filter(window=window)["until"].max())  # type: ignore[arg-type]  # never null


@dataclass(frozen=True, kw_only=True)
class Splits(Windows):
    """All slices, in the order of the chain.

    Attributes:
        users: slice, user_id, cut: the users of each slice; of their ratings, those strictly before the cut are known.
        targets: slice + RATINGS columns: liked items to be found, at or after the cut.
    """

    users: pl.DataFrame
    targets: pl.DataFrame

    @property
    def names(self) -> list[str]:
        """Slice names, the earliest first."""
        return self.cutoffs["slice"].to_list()

    @property
    def asking(self) -> list[str]:
        """Names of the slices that have at least one user."""
        asked = set(self.users["slice"])
        return [name for name in self.names if name in asked]

    @property
    def last_until(self) -> int:
        """First second by which all answers are known."""
        return int(self.cutoffs["until"].max())  # type: ignore[arg-type]  # never null

    def without(self, name: str) -> "Splits":
        """The chain without one slice."""
        tables = (table.filter(pl.col("slice") != name) for table in (self.cutoffs, self.users, self.targets))
        cutoffs, users, targets = tables
        return Splits(cutoffs=cutoffs, users=users, targets=targets)

    def window_of(self, name: str) -> str:
        """The window that a slice belongs to."""
        return str(self.cutoffs.filter(slice=name)["window"].item())

    def fit_end(self, name: str) -> int:
        """The models of the slice see ratings strictly before this second."""
        return int(self.cutoffs.filter(slice=name)["fit_end"].item())

    def until(self, name: str) -> int:
        """First second after the window of a slice: all answers to its questions are known by then."""
        return int(self.cutoffs.filter(slice=name)["until"].item())

    def users_of(self, name: str) -> Int64s:
        """(n_users,) ids of the users of a slice, ascending."""
        return self.users.filter(slice=name)["user_id"].sort().to_numpy()

    def requests(self, name: str) -> pl.DataFrame:
        """user_id, requested_at: the requests of a slice, at the cut of each user. Sorted by user_id."""
        return self.users.filter(slice=name).sort("user_id").select("user_id", requested_at="cut")

    def save(self, folder: Path) -> None:
        """Write the slices; test targets go into a file of their own, so that code reads them explicitly."""
        is_test = pl.col("slice").is_in(self.slices_of(TEST))
        write_table(self.cutoffs, folder / "cutoffs.parquet")
        write_table(self.users, folder / "users.parquet")
        write_table(self.targets.filter(~is_test), folder / "targets.parquet")
        write_table(self.targets.filter(is_test), folder / "test_targets.parquet")

    @classmethod
    def load(cls, folder: Path, *, with_test_targets: bool = False) -> "Splits":
        """Read the slices.

        Only the serving ranker is also trained on the test window, after the evaluation. Code that evaluates models or
        chooses settings loads the splits without the test targets.
        """
        targets = read_table(folder / "targets.parquet")
        if with_test_targets:
            targets = pl.concat([targets, read_table(folder / "test_targets.parquet")])
        return cls(
            cutoffs=read_table(folder / "cutoffs.parquet"),
            users=read_table(folder / "users.parquet"),
            targets=targets,
        )


def make_splits(ratings: pl.DataFrame, config: SplitsConfig, other_times: Sequence[pl.Series] = ()) -> Splits:
    """Cut the ratings at quantiles of time into windows and their steps, and end the chain with the slice `now`.

    Args:
        ratings: RATINGS columns, every rating, replaced ones included, so that a re-rating does not erase the past.
        config: number of windows and of their steps.
        other_times: seconds UTC of other feedback, such as clicks: the slice `now` begins after all of it.

    Raises:
        DataError: too few ratings, or too many of them in one second, for distinct cut-offs.
    """
    starts = _step_starts(ratings, config)
    parts = []
    for n in range(config.n_windows):
        is_last = n == config.n_windows - 1
        steps = starts[n * config.n_refits : (n + 1) * config.n_refits + 1]
        name = TEST if is_last else f"window_{n + 1}"
        parts += _window(ratings, name, steps, is_evaluation=n >= config.n_teaching)
    end = max([starts[-1], *(int(times.max()) + 1 for times in other_times if len(times))])  # type: ignore[arg-type]
    return chained(*parts, fitted_before(end))


def newcomers(ratings: pl.DataFrame, splits: Splits) -> Splits:
    """The same slices with requests of new users, at the second of their first rating and without a history.

    Each new user of a window makes one request; the targets are their likes within the window.

    Args:
        ratings: RATINGS columns, every rating, replaced ones included.
        splits: the chain.
    """
    first = ratings.group_by("user_id").agg(cut=pl.col("timestamp").min())
    users, targets = [], []
    for row, following in zip(splits.cutoffs.iter_rows(named=True), _ends(splits), strict=True):
        new = first.filter(pl.col("cut").is_between(row["fit_end"], following, closed="left"))
        own = ratings.join(new, on="user_id").filter(pl.col("timestamp") < row["until"])
        answers = own.unique(["user_id", "item_id"], keep="first", maintain_order=True)
        liked = answers.filter(pl.col("rating") >= LIKED).sort("user_id", "timestamp", "item_id")
        name = pl.lit(row["slice"]).alias("slice")
        users.append(new.join(liked, on="user_id", how="semi").sort("user_id").select(name, "user_id", "cut"))
        targets.append(liked.select(name, *RATINGS_COLUMNS))
    return Splits(cutoffs=splits.cutoffs, users=pl.concat(users), targets=pl.concat(targets))


def _ends(splits: Splits) -> list[int]:
    """(n_slices,) first second after each slice, which is the start of the next."""
    starts = splits.cutoffs["fit_end"].to_list()
    return [*starts[1:], starts[-1]]


def hold_out(ratings: pl.DataFrame, fit_end: int, config: HoldoutsConfig) -> Splits:
    """Hold-outs of the latest likes of every user before `fit_end`, in shrinking shares.

    A hold-out contains every user with at least `holdout_likes` likes and ratings before the cut. The cut is the second
    of the first held-out like, so that ratings of one second are never separated. The models of each hold-out see more
    than those of the one before.

    Args:
        ratings: RATINGS columns; rows at or after `fit_end` are ignored.
        fit_end: seconds UTC.
        config: shares to hold out.
    """
    before = ratings.filter(pl.col("timestamp") < fit_end)
    shares = [config.holdout_share * (n + 1) for n in range(config.n_holdouts)]
    return chained(*[_holdout(before, fit_end, share, config.holdout_likes) for share in reversed(shares)])


def fitted_before(moment: int, name: str = NOW) -> Splits:
    """A slice without users, whose models are fitted on all ratings before a time (seconds UTC)."""
    return _slice(_NO_RATINGS, _about(name, name, moment, moment, is_evaluation=False), _NO_USERS)


def chained(*parts: Splits) -> Splits:
    """Some slices as one chain; the models of each part may see what those of earlier parts may see."""
    return Splits(
        cutoffs=pl.concat([part.cutoffs for part in parts]),
        users=pl.concat([part.users for part in parts]),
        targets=pl.concat([part.targets for part in parts]),
    )


def development_windows(evaluation_windows: list[str]) -> list[str]:
    """The windows on which settings are chosen: all evaluation windows, in order, but the last two."""
    return evaluation_windows[:-2]


def fit_ratings(ratings: pl.DataFrame, splits: Splits, name: str) -> pl.DataFrame:
    """The ratings, or clicks, that models of a slice may be fitted on, in the order given.

    These are all rows strictly before `fit_end`, and for the slice's own users also strictly before their cut. Of
    each user and item the latest of these rows counts: later replacements were not known.
    """
    before = ratings.filter(pl.col("timestamp") < splits.fit_end(name))
    allowed = _with_cuts(before, splits, name, "left").filter(
        pl.col("cut").is_null() | (pl.col("timestamp") < pl.col("cut"))
    ).drop("cut")  # fmt: skip
    return _latest(allowed)


def known_ratings(ratings: pl.DataFrame, splits: Splits, name: str) -> pl.DataFrame:
    """The history of each user of a slice at the request: the latest rating of each item strictly before the cut."""
    known = _with_cuts(ratings, splits, name, "inner").filter(pl.col("timestamp") < pl.col("cut")).drop("cut")
    return _latest(known)


def relevant_items(targets: pl.DataFrame, user_ids: Int64s) -> ItemSets:
    """The targets of each user in the order of `user_ids`: item ids, not item_idx, because some are in no catalogue."""
    wanted = targets.filter(pl.col("user_id").is_in(user_ids.tolist())).sort("user_id", "item_id")
    at = np.searchsorted(user_ids, wanted["user_id"].to_numpy())
    counts = np.bincount(at, minlength=len(user_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ItemSets(offsets=offsets, items=wanted["item_id"].to_numpy())


def _holdout(before: pl.DataFrame, fit_end: int, share: float, least: int) -> Splits:
    likes = before.filter(pl.col("rating") >= LIKED).sort("user_id", "timestamp", "item_id")
    cuts = (
        likes.group_by("user_id", maintain_order=True)
        .agg(n=pl.len(), cut=pl.col("timestamp").slice(-(pl.len() * share).ceil().cast(pl.Int64)).first())
        .filter(pl.col("n") >= least)
        .select("user_id", "cut")
    )
    name = f"holdout_{round(100 * share)}"
    return _slice(before, _about(name, name, fit_end, fit_end, is_evaluation=False), cuts)


def _window(ratings: pl.DataFrame, name: str, starts: list[int], *, is_evaluation: bool) -> list[Splits]:
    """The steps of one window; the cut of each user is in the middle of their ratings within the window.

    Args:
        ratings: every rating.
        name: of the window.
        starts: (n_steps + 1,) the first second of each step, and the end of the window.
        is_evaluation: whether models are evaluated on the window.
    """
    start, end = starts[0], starts[-1]
    active = ratings.filter(pl.col("timestamp").is_between(start, end, closed="left"))
    # The second of the middle rating, not its position: ratings of one second are never separated.
    cuts = (
        active.sort("user_id", "timestamp")
        .group_by("user_id", maintain_order=True)
        .agg(cut=pl.col("timestamp").get(pl.len() // 2))
    )
    before = ratings.filter(pl.col("timestamp") < end)
    return [
        _slice(
            before,
            _about(f"{name}_{step}", name, first, end, is_evaluation=is_evaluation),
            cuts.filter(pl.col("cut").is_between(first, following, closed="left")),
        )
        for step, (first, following) in enumerate(pairwise(starts), start=1)
    ]


def _slice(ratings: pl.DataFrame, about: pl.DataFrame, cuts: pl.DataFrame) -> Splits:
    """The slice of the users with ratings before their cut and targets after it.

    Items that a user rated before the cut are no targets, even if they are rated again: they are never recommended. Of
    several ratings of an item after the cut the first counts.
    """
    own = ratings.join(cuts, on="user_id").sort("user_id", "timestamp", "item_id")
    is_known = pl.col("timestamp") < pl.col("cut")
    known, later = own.filter(is_known), own.filter(~is_known)
    first = later.unique(["user_id", "item_id"], keep="first", maintain_order=True)
    targets = first.filter(pl.col("rating") >= LIKED)
    targets = targets.join(known, on=["user_id", "item_id"], how="anti", maintain_order="left")
    targets = targets.join(known, on="user_id", how="semi", maintain_order="left")
    users = cuts.join(targets, on="user_id", how="semi").sort("user_id")
    name = pl.lit(about["slice"].item()).alias("slice")
    return Splits(
        cutoffs=about, users=users.select(name, "user_id", "cut"), targets=targets.select(name, *RATINGS_COLUMNS)
    )


def _about(name: str, window: str, fit_end: int, until: int, *, is_evaluation: bool) -> pl.DataFrame:
    return pl.DataFrame(
        {"slice": [name], "window": [window], "fit_end": [fit_end], "until": [until], "is_exam": [is_evaluation]}
    )


def _step_starts(ratings: pl.DataFrame, config: SplitsConfig) -> list[int]:
    """(n_windows * n_refits + 1,) the first second of each step, and the second after the last rating."""
    stamps = ratings["timestamp"].sort()
    n_steps = config.n_windows * config.n_refits
    shares = [config.first_share + (1 - config.first_share) * step / n_steps for step in range(n_steps)]
    starts = [int(stamps[int(len(stamps) * share)]) for share in shares] if len(stamps) else []
    if len(set(starts)) < n_steps or starts[0] == stamps[0]:
        raise DataError(
            f"{len(stamps)} ratings cannot be cut into {n_steps} steps of time with something before them: too few, or "
            "too many in one second; use more data, or fewer windows or refits (settings of `splits`)"
        )
    return [*starts, int(stamps[-1]) + 1]


def _latest(ratings: pl.DataFrame) -> pl.DataFrame:
    """The last row of each user and item; the tables are in order of time."""
    return ratings.unique(["user_id", "item_id"], keep="last", maintain_order=True)


def _with_cuts(ratings: pl.DataFrame, splits: Splits, name: str, how: str) -> pl.DataFrame:
    cuts = splits.users.filter(slice=name).select("user_id", "cut")
    return ratings.join(cuts, on="user_id", how=how, maintain_order="left")  # type: ignore[arg-type]
