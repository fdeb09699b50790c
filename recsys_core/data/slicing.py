"""Ratings -> slices: a chain of windows in time, or hold-outs of each user's latest likes."""

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from recsys_core.data.config import HoldoutsConfig, SplitsConfig
from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.data.splits import NOW, TEST, Splits
from recsys_core.errors import DataError

_NOTHING = pl.DataFrame(schema=RATINGS_COLUMNS)
_NOBODY = pl.DataFrame(schema={"user_id": pl.Int64(), "cut": pl.Int64()})


def make_splits(ratings: pl.DataFrame, config: SplitsConfig, beside: Sequence[pl.Series] = ()) -> Splits:
    """Cut the ratings at quantiles of time into windows and their steps, and end the chain with `now`.

    Args:
        ratings: RATINGS columns, every rating that was ever given, so that a re-rating does not erase the past.
        config: how many windows, and which of them examine.
        beside: seconds UTC of what is known beside ratings, such as clicks: the slice `now` lies after all of it.

    Raises:
        DataError: the ratings are too few, or too many of them share one second, for the cut-offs to differ.
    """
    starts = _step_starts(ratings, config)
    parts = []
    for n in range(config.n_windows):
        is_last = n == config.n_windows - 1
        steps = starts[n * config.n_refits : (n + 1) * config.n_refits + 1]
        name = TEST if is_last else f"window_{n + 1}"
        parts += _window(ratings, name, steps, is_exam=n >= config.n_teaching)
    end = max([starts[-1], *(int(times.max()) + 1 for times in beside if len(times))])  # type: ignore[arg-type]
    return chained(*parts, fitted_before(end))


def newcomers(ratings: pl.DataFrame, splits: Splits) -> Splits:
    """The same slices, asking users at the second of their first rating, when nothing is known of them.

    Each new user of a window is asked once; the targets are their likes within the window.

    Args:
        ratings: RATINGS columns, every rating that was ever given.
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
    """(n_slices,) first second after each slice: where the next begins."""
    starts = splits.cutoffs["fit_end"].to_list()
    return [*starts[1:], starts[-1]]


def hold_out(ratings: pl.DataFrame, fit_end: int, config: HoldoutsConfig) -> Splits:
    """Hold-outs of the latest likes of every user before `fit_end`, in shrinking shares.

    A hold-out asks every user with at least `holdout_likes` likes and something known before the cut. The cut is the
    second of the first held-out like, so that ratings of one second are never parted. Each hold-out's models see more
    than those of the one before.

    Args:
        ratings: RATINGS columns; rows at or after `fit_end` are ignored.
        fit_end: seconds UTC.
        config: how much is held out.
    """
    before = ratings.filter(pl.col("timestamp") < fit_end)
    shares = [config.holdout_share * (n + 1) for n in range(config.n_holdouts)]
    return chained(*[_holdout(before, fit_end, share, config.holdout_likes) for share in reversed(shares)])


def fitted_before(moment: int, name: str = NOW) -> Splits:
    """One slice that asks nobody, its models fitted on everything before a moment (seconds UTC)."""
    return _slice(_NOTHING, _about(name, name, moment, moment, is_exam=False), _NOBODY)


def chained(*parts: Splits) -> Splits:
    """Some slices as one chain; each part may see all that the parts before it may see."""
    return Splits(
        cutoffs=pl.concat([part.cutoffs for part in parts]),
        users=pl.concat([part.users for part in parts]),
        targets=pl.concat([part.targets for part in parts]),
    )


def _holdout(before: pl.DataFrame, fit_end: int, share: float, least: int) -> Splits:
    likes = before.filter(pl.col("rating") >= LIKED).sort("user_id", "timestamp", "item_id")
    cuts = (
        likes.group_by("user_id", maintain_order=True)
        .agg(n=pl.len(), cut=pl.col("timestamp").slice(-(pl.len() * share).ceil().cast(pl.Int64)).first())
        .filter(pl.col("n") >= least)
        .select("user_id", "cut")
    )
    name = f"holdout_{round(100 * share)}"
    return _slice(before, _about(name, name, fit_end, fit_end, is_exam=False), cuts)


def _window(ratings: pl.DataFrame, name: str, starts: list[int], *, is_exam: bool) -> list[Splits]:
    """The steps of one window; the cut of each user lies in the middle of the ratings given within the window.

    Args:
        ratings: every rating.
        name: of the window.
        starts: (n_steps + 1,) the first second of each step, and the end of the window.
        is_exam: whether the window examines models.
    """
    start, end = starts[0], starts[-1]
    active = ratings.filter(pl.col("timestamp").is_between(start, end, closed="left"))
    # The second of the middle rating, not its place: ratings of one second are never parted.
    cuts = (
        active.sort("user_id", "timestamp")
        .group_by("user_id", maintain_order=True)
        .agg(cut=pl.col("timestamp").get(pl.len() // 2))
    )
    before = ratings.filter(pl.col("timestamp") < end)
    return [
        _slice(
            before,
            _about(f"{name}_{step}", name, first, end, is_exam=is_exam),
            cuts.filter(pl.col("cut").is_between(first, following, closed="left")),
        )
        for step, (first, following) in enumerate(pairwise(starts), start=1)
    ]


def _slice(ratings: pl.DataFrame, about: pl.DataFrame, cuts: pl.DataFrame) -> Splits:
    """The slice of those users who have something known before their cut and something to be found after it.

    What a user had rated before the cut is no target, however it is rated again: it would never be recommended. Of
    several ratings after the cut the first counts, which is the user's answer.
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


def _about(name: str, window: str, fit_end: int, until: int, *, is_exam: bool) -> pl.DataFrame:
    return pl.DataFrame(
        {"slice": [name], "window": [window], "fit_end": [fit_end], "until": [until], "is_exam": [is_exam]}
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
