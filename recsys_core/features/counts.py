"""What was counted of items before a moment, as integers: all that the item features are computed from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.schemas import LIKED
from recsys_core.features.timelines import timeline_of

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]

DAY = 86_400
"""Seconds."""

RECENT_DAYS = 30
YEAR_DAYS = 365

NEWEST_SHARES = (0.02, 0.05, 0.2)
"""Shares of all ratings so far, the latest, over which likes are counted."""


@dataclass(frozen=True, kw_only=True)
class ItemCounts:
    """Of each of n questions (item, moment): what had happened strictly before the moment; (n,) each.

    The `all_` counts are of all items together: popularity is a share of them.
    """

    times: Int64s  # the moment, seconds UTC
    years: Float32s  # of release; NaN where unknown
    first_at: Int64s  # when the item was first rated, seconds UTC; 0 where it never was
    n_ratings: Int64s
    n_likes: Int64s
    n_recent: Int64s  # in the last 30 days
    n_year: Int64s  # in the last 365 days
    half_stars: Int64s  # sum of the ratings, in half stars
    n_newest_likes: Int64s  # (n, 3) likes among the latest shares of all ratings
    n_newest: Int64s  # (n, 3) how many ratings these shares are
    all_ratings: Int64s
    all_recent: Int64s
    all_year: Int64s


def item_counts(ratings: pl.DataFrame, item_ids: Int64s, times: Int64s, years: Float32s) -> ItemCounts:
    """The counts of each (item, moment); the cost is that of sorting the ratings and the questions.

    Args:
        ratings: RATINGS, in any order; those at or after a moment change nothing of it.
        item_ids: (n,).
        times: (n,) seconds UTC.
        years: (n,) of release; NaN where unknown.
    """
    stars, stamps = ratings["rating"].to_numpy(), ratings["timestamp"].to_numpy()
    one = np.ones(len(stars), dtype=np.int64)
    half_stars = np.round(stars * 2).astype(np.int64)
    by_item = timeline_of(
        ratings["item_id"].to_numpy(), stamps, np.stack([one, (stars >= LIKED).astype(np.int64), half_stars], axis=1)
    )
    moments, asked_at = np.unique(times, return_inverse=True)  # all items share a moment, so few are asked of
    nobody = np.zeros(len(moments), dtype=np.int64)
    of_all = timeline_of(np.zeros(len(stars), dtype=np.int64), stamps, one[:, None])

    def in_all(moments: Int64s) -> Int64s:
        counted: Int64s = of_all.before(nobody, moments)[asked_at, 0]
        return counted

    def newest(part: float) -> tuple[Int64s, Int64s]:
        """Likes of each item among the latest part of all ratings, and how many ratings that is."""
        since = ordered[np.maximum(n_before - np.maximum(np.round(part * n_before).astype(np.int64), 1), 0)]
        likes = known[:, 1] - by_item.before(item_ids, since[asked_at])[:, 1]
        return likes, n_before[asked_at] - np.searchsorted(ordered, since)[asked_at]

    known, all_ratings = by_item.before(item_ids, times), in_all(moments)
    ordered = np.append(np.sort(stamps), np.iinfo(np.int64).max)  # the last stands for a moment before all ratings
    n_before = np.searchsorted(ordered[:-1], moments)
    newest_likes, n_newest = (np.stack(part, axis=1) for part in zip(*map(newest, NEWEST_SHARES), strict=True))
    recent, year = RECENT_DAYS * DAY, YEAR_DAYS * DAY
    first_at = by_item.first_times(item_ids)
    return ItemCounts(
        times=times,
        years=years,
        first_at=np.where(known[:, 0] > 0, first_at, 0),
        n_ratings=known[:, 0],
        n_likes=known[:, 1],
        n_recent=known[:, 0] - by_item.before(item_ids, times - recent)[:, 0],
        n_year=known[:, 0] - by_item.before(item_ids, times - year)[:, 0],
        half_stars=known[:, 2],
        n_newest_likes=newest_likes,
        n_newest=n_newest,
        all_ratings=all_ratings,
        all_recent=all_ratings - in_all(moments - recent),
        all_year=all_ratings - in_all(moments - year),
    )


def share(part: Int64s, whole: Int64s) -> Float32s:
    """Part / whole; 0 of 0 is 0, because nothing happened."""
    return (part / np.maximum(whole, 1)).astype(np.float32)


def ratio(part: Int64s, whole: Int64s) -> Float32s:
    """Part / whole; 0 of 0 is NaN, because nothing is known."""
    return (part / np.where(whole > 0, whole, np.nan)).astype(np.float32)
