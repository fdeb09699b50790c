"""Histories of many users in one compact structure: offsets into flat arrays, as in a CSR matrix.

Every model of this project reads users in this form. It contains dense row numbers (`item_idx`), never external ids;
the `Catalogue` maps between the two.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from recsys_core.arrays import Float32s, Float64s, Int64s
from recsys_core.data.schemas import LIKED

NEVER = int(np.iinfo(np.int64).max)
"""Later than any second."""

OTHER_VALUE = 0.3
"""Weight of a rating below a like, relative to 1 for a like: watching is weak evidence of interest."""

AGE_LIMITS = np.array([600, 3_600, 86_400, 7 * 86_400, 30 * 86_400, 182 * 86_400, 365 * 86_400, 3 * 365 * 86_400])
"""Seconds: ten minutes, an hour, a day, a week, a month, half a year, a year, three years."""

N_AGES = len(AGE_LIMITS) + 1
N_PLACES = 12
"""Places are counted from 1 = the latest, on a log2 scale: 1, 2-3, 4-7, 8-15, ..., 2048 and more."""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The items that may be recommended, in ascending order of id: `item_ids[item_idx]` is the external id."""

    item_ids: Int64s  # (n_items,) ascending, unique

    @property
    def n_items(self) -> int:
        """Number of items that may be recommended."""
        return len(self.item_ids)

    def idx_of(self, item_ids: Int64s) -> Int64s:
        """Dense row number of each id, -1 for ids outside the catalogue; same shape as `item_ids`."""
        if not self.n_items:
            return np.full(np.shape(item_ids), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.item_ids, item_ids), self.n_items - 1)
        found: Int64s = np.where(self.item_ids[at] == item_ids, at, -1)
        return found


@dataclass(frozen=True, kw_only=True)
class Histories:
    """The ratings of some users, oldest first; row u owns `item_idx[offsets[u]:offsets[u + 1]]` and its twins."""

    user_ids: Int64s  # (n_users,) external ids, ascending
    offsets: Int64s  # (n_users + 1,)
    item_idx: Int64s  # (n_ratings,)
    ratings: Float32s  # (n_ratings,) stars
    timestamps: Int64s  # (n_ratings,) seconds UTC
    n_items: int

    @property
    def n_users(self) -> int:
        """Number of users, those with an empty history included."""
        return len(self.user_ids)

    @cached_property
    def lengths(self) -> Int64s:
        """(n_users,) ratings per user."""
        return np.diff(self.offsets)

    @cached_property
    def rows(self) -> Int64s:
        """(n_ratings,) the user row that owns each rating."""
        return np.repeat(np.arange(self.n_users), self.lengths)

    @cached_property
    def from_end(self) -> Int64s:
        """(n_ratings,) place of each rating in its history, counted from the end: 1 is the latest."""
        return np.repeat(self.offsets[1:], self.lengths) - np.arange(len(self.item_idx))

    def select(self, users: Int64s) -> "Histories":
        """The histories of some user rows, in the given order."""
        lengths = self.lengths[users]
        flat = places_of(self.offsets[users], lengths)
        return Histories(
            user_ids=self.user_ids[users],
            offsets=offsets_of(lengths),
            item_idx=self.item_idx[flat],
            ratings=self.ratings[flat],
            timestamps=self.timestamps[flat],
            n_items=self.n_items,
        )

    def likes(self) -> sp.csr_array:
        """(n_users, n_items) float32 matrix holding 1 where the user liked the item."""
        return self.matrix((self.ratings >= LIKED).astype(np.float32))

    def seen(self) -> sp.csr_array:
        """(n_users, n_items) float32 matrix holding 1 where the user rated the item at all."""
        return self.matrix(np.ones(len(self.item_idx), dtype=np.float32))

    def weighted_sums(self, weights: Float32s, table: Float32s) -> Float32s:
        """(n_users, d) sum over each user's ratings, oldest first, of the weight times the item's row of a table.

        Args:
            weights: (n_ratings,).
            table: (n_items, d).
        """
        matrix = sp.csr_array((weights, self.item_idx, self.offsets), shape=(self.n_users, self.n_items))
        sums: Float32s = matrix @ table
        return sums

    def matrix(self, values: npt.NDArray[np.float32] | Int64s) -> sp.csr_array:
        """(n_users, n_items) sparse matrix of one value per rating, of their type; explicit zeros are dropped."""
        matrix = sp.csr_array((values, self.item_idx, self.offsets), shape=(self.n_users, self.n_items))
        matrix = matrix.copy()
        matrix.eliminate_zeros()
        return matrix


@dataclass(frozen=True, kw_only=True)
class RatingLog:
    """Every rating, those that were replaced later included, for histories at any time."""

    user_ids: Int64s  # (n_ratings,) ascending
    item_idx: Int64s  # (n_ratings,)
    ratings: Float32s  # (n_ratings,) stars
    timestamps: Int64s  # (n_ratings,) seconds UTC, ascending within a user
    replaced_at: Int64s  # (n_ratings,) time of the user's next rating of the item; NEVER for the latest
    n_items: int

    def before(self, user_ids: Int64s, times: Int64s) -> Histories:
        """Histories strictly before given times: one row per query (user, time), in the given order.

        The cost is linear in the lengths of the users' histories.

        Args:
            user_ids: (n,) may repeat; a user without ratings has an empty history.
            times: (n,) seconds UTC.
        """
        first, last = (np.searchsorted(self.user_ids, user_ids, side=side) for side in ("left", "right"))
        lengths = last - first
        rows = np.repeat(np.arange(len(user_ids)), lengths)
        flat = places_of(first, lengths)
        known = (self.timestamps[flat] < times[rows]) & (self.replaced_at[flat] >= times[rows])
        kept, counts = flat[known], np.bincount(rows[known], minlength=len(user_ids))
        return Histories(
            user_ids=user_ids,
            offsets=offsets_of(counts),
            item_idx=self.item_idx[kept],
            ratings=self.ratings[kept],
            timestamps=self.timestamps[kept],
            n_items=self.n_items,
        )


def offsets_of(lengths: Int64s) -> Int64s:
    """(n + 1,) start of each of n adjacent ranges with the given lengths, and the end of the last."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def places_of(first: Int64s, lengths: Int64s) -> Int64s:
    """The positions in some ranges, one range after the other.

    >>> places_of(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths)


def catalogue_of(ratings: pl.DataFrame) -> Catalogue:
    """Every item with at least one rating in `ratings`.

    Items of the movie table without ratings are left out: MovieLens lists only movies that were rated *at some time*,
    so an unrated item in the catalogue would leak the future.
    """
    return Catalogue(item_ids=ratings["item_id"].unique().sort().to_numpy())


def first_rated_at(ratings: pl.DataFrame, catalogue: Catalogue) -> Int64s:
    """(n_items,) seconds UTC of each item's first rating; NEVER for an item without any."""
    idx = catalogue.idx_of(ratings["item_id"].to_numpy())
    first: Int64s = np.full(catalogue.n_items, NEVER)
    np.minimum.at(first, idx[idx >= 0], ratings["timestamp"].to_numpy()[idx >= 0])
    return first


def histories_of(ratings: pl.DataFrame, catalogue: Catalogue, user_ids: Int64s | None = None) -> Histories:
    """Group ratings by user, oldest first; items outside the catalogue are left out.

    Args:
        ratings: columns user_id, item_id, rating, timestamp.
        catalogue: maps items to rows.
        user_ids: ascending; a user without ratings gets an empty history. Default: all in `ratings`.

    Ratings with equal timestamps are in the order of item ids, which has no meaning.
    """
    if user_ids is None:
        user_ids = ratings["user_id"].unique().sort().to_numpy()
    ordered = ratings.sort("user_id", "timestamp", "item_id")
    item_idx = catalogue.idx_of(ordered["item_id"].to_numpy())
    users = ordered["user_id"].to_numpy()
    kept = (item_idx >= 0) & np.isin(users, user_ids)
    counts = np.bincount(np.searchsorted(user_ids, users[kept]), minlength=len(user_ids))
    return Histories(
        user_ids=user_ids,
        offsets=offsets_of(counts),
        item_idx=item_idx[kept],
        ratings=ordered["rating"].to_numpy()[kept],
        timestamps=ordered["timestamp"].to_numpy()[kept],
        n_items=catalogue.n_items,
    )


def rating_log_of(ratings: pl.DataFrame, catalogue: Catalogue) -> RatingLog:
    """The ratings by user, oldest first; the cost is that of sorting them.

    Args:
        ratings: columns user_id, item_id, rating, timestamp: every rating, those that a later one of the
            same item replaced included; the latest rating before a time counts, and at equal times the last row.
        catalogue: maps items to rows; items outside it are left out.
    """
    known = ratings.with_columns(item_idx=pl.Series(catalogue.idx_of(ratings["item_id"].to_numpy())))
    ordered = known.filter(pl.col("item_idx") >= 0).sort("user_id", "timestamp", "item_id", maintain_order=True)
    again = ordered.select(pl.col("timestamp").shift(-1).over("user_id", "item_id").fill_null(NEVER)).to_series()
    return RatingLog(
        user_ids=ordered["user_id"].to_numpy(),
        item_idx=ordered["item_idx"].to_numpy(),
        ratings=ordered["rating"].to_numpy(),
        timestamps=ordered["timestamp"].to_numpy(),
        replaced_at=again.to_numpy(),
        n_items=catalogue.n_items,
    )


def evidence(users: Histories) -> Float64s:
    """(n_ratings,) weight of each rating as evidence of interest: 1 for a like, else `OTHER_VALUE`."""
    return np.where(users.ratings >= LIKED, 1.0, OTHER_VALUE)


@dataclass(frozen=True, kw_only=True)
class Recency:
    """Recency of each rating of some histories in two coarse buckets, (n_ratings,) each.

    Both count from the end of the history and not from the request, so that a history always gives the same vector.
    Ratings of one second share a place, because their order has no meaning.
    """

    place: Int64s  # 0..N_PLACES - 1, 0 = the latest
    age: Int64s  # 0..N_AGES - 1, 0 = at most ten minutes before the latest


def recency(users: Histories) -> Recency:
    """The buckets of every rating, in the order of the flat arrays of `users`."""
    if not len(users.item_idx):
        return Recency(place=np.zeros(0, dtype=np.int64), age=np.zeros(0, dtype=np.int64))
    seconds_back = users.timestamps[_latest(users)] - users.timestamps
    return Recency(
        place=np.minimum(np.floor(np.log2(places_back(users) + 1)).astype(np.int64), N_PLACES - 1),
        age=np.searchsorted(AGE_LIMITS, seconds_back, side="left"),
    )


def places_back(users: Histories) -> Int64s:
    """(n_ratings,) number of later distinct seconds in the same history: 0 for the latest ratings."""
    if not len(users.item_idx):
        return np.zeros(0, dtype=np.int64)
    steps = np.diff(users.timestamps, prepend=users.timestamps[0]) != 0
    moment = np.cumsum(steps)  # grows by one with every new second of a user
    back: Int64s = moment[_latest(users)] - moment
    return back


def _latest(users: Histories) -> Int64s:
    """(n_ratings,) flat position of the owner's latest rating."""
    return np.repeat(users.offsets[1:] - 1, users.lengths)
