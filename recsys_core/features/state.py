"""The state of users between requests: their histories and integer sums over them.

A new rating updates the sums; nothing is recomputed. Because the sums are integers, a state that was updated rating by
rating equals, to the bit, a state that is built from the whole history.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.data.schemas import LIKED
from recsys_core.features.exposures import Exposures
from recsys_core.features.item_inputs import FIXED_POINT, ItemInputs
from recsys_core.features.point_in_time import UserSums, sum_terms

Column = TypeVar("Column", Float32s, Int64s)

DISLIKED = 2.5
"""A rating of at most this many stars is a dislike."""


@dataclass(frozen=True, kw_only=True)
class UserStates:
    """Some users, (n_users, ...) each; sums of vectors are fixed-point, in units of 1 / `FIXED_POINT`."""

    histories: Histories  # of items of the catalogue, before the request
    totals: Int64s  # (n_users, 6) as `sum_terms`
    n_disliked: Int64s  # (n_users,)
    n_genred: Int64s  # (n_users,) liked items whose genres are known
    liked: Int64s  # (n_users, rank) sum of the history factors of liked items
    disliked: Int64s  # (n_users, rank)
    liked_genres: Int64s  # (n_users, n_genres) sum of the genre shares of liked items

    def sums(self, items: ItemInputs) -> UserSums:
        """The input of the user features."""
        return UserSums.of_totals(self.totals, items.all_ratings)

    def mean_liked(self) -> Float32s:
        """(n_users, rank) mean history factors of the liked items; NaN without any."""
        return _mean(self.liked, self.totals[:, 1])

    def mean_disliked(self) -> Float32s:
        """(n_users, rank) the same of disliked items."""
        return _mean(self.disliked, self.n_disliked)

    def mean_liked_genres(self) -> Float32s:
        """(n_users, n_genres) mean genre shares of the liked items that have genres; NaN without any."""
        return _mean(self.liked_genres, self.n_genred)


@dataclass(frozen=True, kw_only=True)
class RequestBatch:
    """Some requests: users and times."""

    users: UserStates
    requested_at: Int64s  # (n_users,) seconds UTC; the histories end strictly before
    exposures: Exposures | None = None  # None where nothing was shown, as in the windows of the past


def user_states(histories: Histories, items: ItemInputs) -> UserStates:
    """The states of users with these histories, computed from scratch."""
    item_idx, stars = histories.item_idx, histories.ratings
    liked, disliked = stars >= LIKED, stars <= DISLIKED
    genred = liked & items.has_genres[item_idx]
    added = sum_terms(stars, items.n_ratings[item_idx], items.years[item_idx])
    running = np.concatenate([np.zeros((1, added.shape[1]), dtype=np.int64), np.cumsum(added, axis=0)])

    def summed(chosen: npt.NDArray[np.bool_], fixed: Int64s) -> Int64s:
        total: Int64s = histories.matrix(chosen.astype(np.int64)) @ fixed
        return total

    def number_of(chosen: npt.NDArray[np.bool_]) -> Int64s:
        return np.diff(np.concatenate([[0], np.cumsum(chosen)])[histories.offsets]).astype(np.int64)

    return UserStates(
        histories=histories,
        totals=np.diff(running[histories.offsets], axis=0),
        n_disliked=number_of(disliked),
        n_genred=number_of(genred),
        liked=summed(liked, items.fixed_history_factors),
        disliked=summed(disliked, items.fixed_history_factors),
        liked_genres=summed(genred, items.fixed_genre_shares),
    )


def with_rating(user: UserStates, items: ItemInputs, item_idx: int, stars: float, timestamp: int) -> UserStates:
    """The state of one user after one more rating, which may arrive late or replace a rating of the same item.

    Args:
        user: a single user.
        items: the item inputs that the state was built with.
        item_idx: of the catalogue; -1, for an item outside it, changes nothing.
        stars: of the rating.
        timestamp: seconds UTC. The later of two ratings of an item counts; at equal times, the second one given.
    """
    if item_idx < 0:
        return user
    own = user.histories
    before = np.flatnonzero(own.item_idx == item_idx)
    if len(before):
        if own.timestamps[before[0]] > timestamp:
            return user
        user = _moved(user, items, item_idx, own.ratings[before], -1)
    kept = own.item_idx != item_idx
    columns = own.item_idx[kept], own.ratings[kept], own.timestamps[kept]
    is_later = (columns[2] > timestamp) | ((columns[2] == timestamp) & (columns[0] > item_idx))
    place = len(is_later) - int(is_later.sum())
    one, added = np.array([item_idx]), np.array([stars], dtype=np.float32)
    history = replace(
        own,
        offsets=np.array([0, len(is_later) + 1]),
        item_idx=_with_one_more(columns[0], place, one),
        ratings=_with_one_more(columns[1], place, added),
        timestamps=_with_one_more(columns[2], place, np.array([timestamp])),
    )
    return replace(_moved(user, items, item_idx, added, +1), histories=history)


def state_without_ratings(items: ItemInputs, user_id: int = 0) -> UserStates:
    """The state of one user without any rating."""
    none = np.zeros(0, dtype=np.int64)
    history = Histories(
        user_ids=np.array([user_id]),
        offsets=np.zeros(2, dtype=np.int64),
        item_idx=none,
        ratings=none.astype(np.float32),
        timestamps=none,
        n_items=len(items.n_ratings),
    )
    return user_states(history, items)


def _moved(user: UserStates, items: ItemInputs, item_idx: int, stars: Float32s, sign: int) -> UserStates:
    """The sums with a rating added (sign +1) or taken back (-1); the history stays as it is."""
    one = np.array([item_idx])
    is_liked, is_disliked = int(stars[0] >= LIKED), int(stars[0] <= DISLIKED)
    is_genred = is_liked * int(items.has_genres[item_idx])
    return replace(
        user,
        totals=user.totals + sign * sum_terms(stars, items.n_ratings[one], items.years[one]),
        n_disliked=user.n_disliked + sign * is_disliked,
        n_genred=user.n_genred + sign * is_genred,
        liked=user.liked + sign * is_liked * items.fixed_history_factors[one],
        disliked=user.disliked + sign * is_disliked * items.fixed_history_factors[one],
        liked_genres=user.liked_genres + sign * is_genred * items.fixed_genre_shares[one],
    )


def _with_one_more(values: Column, place: int, one: Column) -> Column:
    """Like np.insert, which takes longer than a whole feature; a request needs several of these."""
    return np.concatenate([values[:place], one, values[place:]])


def _mean(total: Int64s, n: Int64s) -> Float32s:
    mean: Float32s = (total / (FIXED_POINT * np.where(n > 0, n, np.nan))[:, None]).astype(np.float32)
    return mean
