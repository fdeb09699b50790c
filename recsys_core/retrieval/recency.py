"""Recency of each rating in a history, in two coarse buckets: places back and time back.

Both count from the end of the history and not from the request, so that the same history always gives the same
vector. Ratings of one second share a place, because their order carries no meaning.
"""

from dataclasses import dataclass

import numpy as np

from recsys_core.arrays import Int64s
from recsys_core.data.histories import Histories

AGE_LIMITS = np.array([600, 3_600, 86_400, 7 * 86_400, 30 * 86_400, 182 * 86_400, 365 * 86_400, 3 * 365 * 86_400])
"""Seconds: ten minutes, an hour, a day, a week, a month, half a year, a year, three years."""

N_AGES = len(AGE_LIMITS) + 1
N_PLACES = 12
"""Places are counted from 1 = the latest, on a log2 scale: 1, 2-3, 4-7, 8-15, ..., 2048 and more."""


@dataclass(frozen=True, kw_only=True)
class Recency:
    """Buckets of each rating of some histories, (n_ratings,) each."""

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
    """(n_ratings,) how many different seconds of the same history are later: 0 for the latest ratings."""
    if not len(users.item_idx):
        return np.zeros(0, dtype=np.int64)
    steps = np.diff(users.timestamps, prepend=users.timestamps[0]) != 0
    moment = np.cumsum(steps)  # grows by one with every new second, and within one user only that matters
    back: Int64s = moment[_latest(users)] - moment
    return back


def _latest(users: Histories) -> Int64s:
    """(n_ratings,) flat place of the owner's latest rating."""
    return np.repeat(users.offsets[1:] - 1, users.lengths)
