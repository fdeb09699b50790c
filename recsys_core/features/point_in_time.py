"""Counts of items and sums of users strictly before any time: the inputs of item and user features.

All of them are integers, divided once. So the order of the rows and later rows do not change a bit, and a rating that
is added and removed again leaves no trace.

`CumulativeCounts` sort the events once and keep running totals. A query (key, moment) then costs two binary searches
and one difference. A table per day would need an as-of join for each of millions of queries.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.schemas import LIKED
from recsys_core.days import DAY_S

RECENT_DAYS = 30
YEAR_DAYS = 365

NEWEST_SHARES = (0.02, 0.05, 0.2)
"""Likes are counted over these latest shares of all ratings so far."""


@dataclass(frozen=True, kw_only=True)
class ItemCounts:
    """Counts strictly before the time of each of n queries (item, time); arrays of shape (n,) unless noted.

    The `all_` counts are over all items: popularity is a share of them.
    """

    times: Int64s  # of the query, seconds UTC
    years: Float32s  # of release; NaN where unknown
    first_at: Int64s  # when the item was first rated, seconds UTC; 0 where it never was
    n_ratings: Int64s
    n_likes: Int64s
    n_recent: Int64s  # in the last 30 days
    n_year: Int64s  # in the last 365 days
    half_stars: Int64s  # sum of the ratings, in half stars
    n_newest_likes: Int64s  # (n, 3) likes among the latest shares of all ratings
    n_newest: Int64s  # (n, 3) number of ratings in these shares
    all_ratings: Int64s
    all_recent: Int64s
    all_year: Int64s


def item_counts(ratings: pl.DataFrame, item_ids: Int64s, times: Int64s, years: Float32s) -> ItemCounts:
    """The counts of each (item, time); the cost is that of sorting the ratings and the queries.

    Args:
        ratings: RATINGS, in any order; those at or after a time do not change its counts.
        item_ids: (n,).
        times: (n,) seconds UTC.
        years: (n,) of release; NaN where unknown.
    """
    stars, stamps = ratings["rating"].to_numpy(), ratings["timestamp"].to_numpy()
    one = np.ones(len(stars), dtype=np.int64)
    half_stars = np.round(stars * 2).astype(np.int64)
    by_item = cumulative_counts_of(
        ratings["item_id"].to_numpy(), stamps, np.stack([one, (stars >= LIKED).astype(np.int64), half_stars], axis=1)
    )
    moments, asked_at = np.unique(times, return_inverse=True)  # all items share a time, so there are few of them
    no_key = np.zeros(len(moments), dtype=np.int64)
    of_all = cumulative_counts_of(np.zeros(len(stars), dtype=np.int64), stamps, one[:, None])

    def in_all(moments: Int64s) -> Int64s:
        before: Int64s = of_all.before(no_key, moments)[asked_at, 0]
        return before

    def newest(part: float) -> tuple[Int64s, Int64s]:
        """Likes of each item among the latest part of all ratings, and the number of ratings in it."""
        since = ordered[np.maximum(n_before - np.maximum(np.round(part * n_before).astype(np.int64), 1), 0)]
        likes = known[:, 1] - by_item.before(item_ids, since[asked_at])[:, 1]
        return likes, n_before[asked_at] - np.searchsorted(ordered, since)[asked_at]

    known, all_ratings = by_item.before(item_ids, times), in_all(moments)
    ordered = np.append(np.sort(stamps), np.iinfo(np.int64).max)  # the last entry is for a time before all ratings
    n_before = np.searchsorted(ordered[:-1], moments)
    newest_likes, n_newest = (np.stack(part, axis=1) for part in zip(*map(newest, NEWEST_SHARES), strict=True))
    recent, year = RECENT_DAYS * DAY_S, YEAR_DAYS * DAY_S
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


@dataclass(frozen=True, kw_only=True)
class UserSums:
    """Sums over the ratings of each user, (n_users,) each."""

    n_ratings: Int64s
    n_likes: Int64s
    half_stars: Int64s  # of the ratings
    popularity: Int64s  # of the rated items: number of ratings of each
    n_liked_years: Int64s  # liked items whose year of release is known
    liked_years: Int64s  # the sum of these years
    all_ratings: int  # of all items: what popularity is a share of

    @classmethod
    def of_totals(cls, totals: Int64s, all_ratings: int) -> "UserSums":
        """Name the columns of the totals, (n_users, 6), which are sums over `sum_terms` of each rating."""
        return cls(
            n_ratings=totals[:, 0],
            n_likes=totals[:, 1],
            half_stars=totals[:, 2],
            popularity=totals[:, 3],
            n_liked_years=totals[:, 4],
            liked_years=totals[:, 5],
            all_ratings=all_ratings,
        )


def sum_terms(ratings: Float32s, popularity: Int64s, years: Float32s) -> Int64s:
    """(n, 6): the contribution of each rating to the sums of its user.

    Args:
        ratings: (n,) stars.
        popularity: (n,) number of ratings of the rated item.
        years: (n,) of its release; NaN where unknown.
    """
    liked = ratings >= LIKED
    dated = liked & ~np.isnan(years)
    half_stars = np.round(ratings * 2).astype(np.int64)
    liked_years = np.where(dated, years, 0).astype(np.int64)
    return np.stack([np.ones_like(half_stars), liked, half_stars, popularity, dated, liked_years], axis=1)


def user_sums(ratings: pl.DataFrame, items: pl.DataFrame, user_ids: Int64s, times: Int64s) -> UserSums:
    """The sums of each (user, time) over the user's ratings strictly before it; linear in the ratings, after a sort.

    Args:
        ratings: user_id, item_id, rating, timestamp, in any order. Where a user rates an item again, the later rating
            replaces the earlier one; at equal times the later row counts. Ratings of items without a row in
            `items` are not counted.
        items: item_id, n_ratings, year, as of one cut-off.
        user_ids: (n,).
        times: (n,) seconds UTC.
    """
    known = ratings.join(items.select("item_id", "n_ratings", "year"), on="item_id", maintain_order="left")
    known = known.sort("timestamp", maintain_order=True)
    years = known["year"].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    added = sum_terms(known["rating"].to_numpy(), known["n_ratings"].to_numpy(), years)
    replaced_at = known.select(pl.col("timestamp").shift(-1).over("user_id", "item_id")).to_series()
    gone = replaced_at.is_not_null().to_numpy()
    users, stamps = known["user_id"].to_numpy(), known["timestamp"].to_numpy()
    timeline = cumulative_counts_of(
        np.concatenate([users, users[gone]]),
        np.concatenate([stamps, replaced_at.drop_nulls().to_numpy()]),
        np.concatenate([added, -added[gone]]),
    )
    return UserSums.of_totals(timeline.before(user_ids, times), int(items["n_ratings"].sum()))


@dataclass(frozen=True, kw_only=True)
class CumulativeCounts:
    """Events by key, oldest first, with the running totals of their values."""

    keys: Int64s  # (n_keys,) ascending, unique
    starts: Int64s  # (n_keys + 1,) the first event of each key
    times: Int64s  # (n_events,) ascending within a key
    totals: Int64s  # (n_events + 1, n_columns) over all events before this one, of all keys

    def before(self, keys: Int64s, times: Int64s) -> Int64s:
        """(n, n_columns) totals of the key's events strictly before each time; 0 for a key without events.

        Args:
            keys: (n,).
            times: (n,) seconds; events of exactly this second do not count.
        """
        if not len(self.keys):
            return np.zeros((len(keys), self.totals.shape[1]), dtype=np.int64)
        at, is_known = self._places(keys)
        codes = at * self._span + np.clip(times - self._origin, 0, self._span - 1)
        # Sorted questions walk through memory once; unsorted ones miss the cache at every step.
        order = np.argsort(codes)
        last = np.searchsorted(self._pairs, codes[order], side="left")
        totals = np.empty((len(keys), self.totals.shape[1]), dtype=np.int64)
        totals[order] = (self.totals[last] - self.totals[self.starts[at[order]]]) * is_known[order, None]
        return totals

    def first_times(self, keys: Int64s) -> Int64s:
        """(n,) time of the key's first event; 0 for a key without events."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.int64)
        at, is_known = self._places(keys)
        first: Int64s = np.where(is_known, self.times[self.starts[at]], 0)
        return first

    def _places(self, keys: Int64s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return at, self.keys[at] == keys

    @cached_property
    def _pairs(self) -> Int64s:
        """(n_events,) one number per (key, time) that sorts like the pair: one search serves all keys."""
        return np.repeat(np.arange(len(self.keys)), np.diff(self.starts)) * self._span + (self.times - self._origin)

    @cached_property
    def _origin(self) -> int:
        return int(self.times.min())

    @cached_property
    def _span(self) -> int:
        """More than any time since the origin, so that two keys never share a number."""
        return int(self.times.max()) - self._origin + 2


def cumulative_counts_of(keys: Int64s, times: Int64s, added: Int64s) -> CumulativeCounts:
    """The cumulative counts of some events, given in any order.

    Args:
        keys: (n_events,) key of each event.
        times: (n_events,) seconds UTC.
        added: (n_events, n_columns) values of each event, to be summed per key.
    """
    order = np.lexsort((times, keys))
    unique, starts = np.unique(keys[order], return_index=True)
    totals = np.zeros((len(keys) + 1, added.shape[1]), dtype=np.int64)
    np.cumsum(added[order], axis=0, out=totals[1:])
    return CumulativeCounts(
        keys=unique, starts=np.append(starts, len(keys)).astype(np.int64), times=times[order], totals=totals
    )
