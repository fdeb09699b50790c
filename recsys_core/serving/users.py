"""The users that a recommender knows: what each has rated, and the state that follows it.

A request at time t reads ratings strictly before t. Between requests the state moves on by the ratings that have come
since; a request from further back is answered from a state that is counted afresh.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.histories import Catalogue, histories_of
from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.features.item_inputs import ItemInputs
from recsys_core.features.state import UserStates, nobody, user_states, with_rating
from recsys_core.serving.requests import Rated

MOST_STATES = 20_000
"""States kept: about 3 kB each. The one that was not asked for longest goes first; it can be counted again."""

FEW = 16
"""Ratings up to which following one by one is cheaper than counting afresh."""


@dataclass(kw_only=True)
class _Known:
    """One user's ratings in the order of time, equal times in the order of arrival, and how many the state holds."""

    ratings: list[Rated]
    state: UserStates | None = None
    n_folded: int = 0


@dataclass(kw_only=True)
class Users:
    """Everybody with a rating; changes as ratings come in."""

    catalogue: Catalogue
    items: ItemInputs
    ratings: pl.DataFrame  # RATINGS columns, every rating that was ever given, in the order of arrival
    _user_ids: npt.NDArray[np.int64] = field(init=False, repr=False)
    _known: OrderedDict[int, _Known] = field(default_factory=OrderedDict, repr=False)
    _added: dict[int, list[Rated]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # Each user's ratings in one piece, which a binary search finds; of ratings at once the last to arrive counts.
        self.ratings = self.ratings.sort("user_id", maintain_order=True)
        self._user_ids = self.ratings["user_id"].to_numpy()

    def state_before(self, user_id: int | None, time: int) -> UserStates:
        """What was known of a user strictly before a time, seconds UTC; the state of nobody for an unknown user."""
        if user_id is None:
            return nobody(self.items)
        known = self._of(user_id)
        n = bisect_left(known.ratings, time, key=_time_of)
        if known.state is None or n < known.n_folded or n - known.n_folded > FEW:
            known.state = self._afresh(user_id, known.ratings[:n])
        else:
            for one in known.ratings[known.n_folded : n]:
                known.state = self.after(known.state, one)
        known.n_folded = n
        return known.state

    def after(self, state: UserStates, rated: Rated) -> UserStates:
        """The state of one user after one more rating."""
        item_idx = int(self.catalogue.idx_of(np.array([rated.item_id]))[0])
        return with_rating(state, self.items, item_idx, rated.rating, rated.timestamp)

    def observe(self, user_id: int, rated: Rated) -> None:
        """Take in a rating, which may be of somebody new, and may come late."""
        known = self._of(user_id)
        at = bisect_right(known.ratings, rated.timestamp, key=_time_of)
        known.ratings.insert(at, rated)
        self._added.setdefault(user_id, []).append(rated)
        if at < known.n_folded:
            known.state, known.n_folded = None, 0

    def _of(self, user_id: int) -> _Known:
        if user_id not in self._known:
            added = self._added.get(user_id, [])
            self._known[user_id] = _Known(ratings=sorted([*self._logged(user_id), *added], key=_time_of))
            if len(self._known) > MOST_STATES:
                self._known.popitem(last=False)
        self._known.move_to_end(user_id)
        return self._known[user_id]

    def _logged(self, user_id: int) -> list[Rated]:
        """What the table holds of a user, in the order of arrival."""
        first, last = (int(np.searchsorted(self._user_ids, user_id, side=side)) for side in ("left", "right"))
        rows = self.ratings[first:last].select("item_id", "rating", "timestamp")
        return [Rated(item_id=item, rating=stars, timestamp=time) for item, stars, time in rows.iter_rows()]

    def _afresh(self, user_id: int, ratings: list[Rated]) -> UserStates:
        """The state after some ratings; of one item the last counts."""
        latest = {one.item_id: one for one in ratings}
        rows = [(user_id, one.item_id, one.rating, one.timestamp) for one in latest.values()]
        table = pl.DataFrame(rows, schema=RATINGS_COLUMNS, orient="row")
        return user_states(histories_of(table, self.catalogue, np.array([user_id])), self.items)


def _time_of(rated: Rated) -> int:
    return rated.timestamp
