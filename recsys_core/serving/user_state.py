"""User state between requests: the ratings, impressions and clicks of each user.

A request at time t reads events strictly before t. Between requests, the rating state is updated with the ratings that
have come since. A request as of an earlier time is answered from a state that is recomputed.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.arrays import Int64s
from recsys_core.data.histories import Catalogue, histories_of
from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.features.exposures import FATIGUE_S, Exposures, TimedItems
from recsys_core.features.item_inputs import ItemInputs
from recsys_core.features.state import UserStates, state_without_ratings, user_states, with_rating
from recsys_core.feedback.exposures import Exposed
from recsys_core.serving.requests import Clicked, Rated, Shown

MOST_STATES = 20_000
"""States kept, of about 3 kB each. The least recently used goes first; an evicted state is recomputed."""

MOST_UPDATES = 16
"""With more new ratings than this, recomputing a state is cheaper than updating it rating by rating."""


@dataclass(kw_only=True)
class _Known:
    """One user's ratings in the order of time, equal times in the order of arrival.

    Attributes:
        ratings: all of them.
        state: after the first `n_folded` ratings; None where it must be recomputed.
        n_folded: number of ratings in the state.
    """

    ratings: list[Rated]
    state: UserStates | None = None
    n_folded: int = 0


@dataclass(kw_only=True)
class UserStateStore:
    """The rating state of all users; changes as ratings come in."""

    catalogue: Catalogue
    items: ItemInputs
    ratings: pl.DataFrame  # RATINGS columns, every rating that was ever given, in the order of arrival
    _user_ids: npt.NDArray[np.int64] = field(init=False, repr=False)
    _known: OrderedDict[int, _Known] = field(default_factory=OrderedDict, repr=False)
    _added: dict[int, list[Rated]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # Contiguous per user, for a binary search. Of ratings in the same second, the last to arrive counts.
        self.ratings = self.ratings.sort("user_id", maintain_order=True)
        self._user_ids = self.ratings["user_id"].to_numpy()

    def state_before(self, user_id: int | None, time: int) -> UserStates:
        """The state of a user strictly before a time, seconds UTC; the empty state for an unknown user."""
        if user_id is None:
            return state_without_ratings(self.items)
        known = self._of(user_id)
        n = bisect_left(known.ratings, time, key=_time_of)
        if known.state is None or n < known.n_folded or n - known.n_folded > MOST_UPDATES:
            known.state = self._recomputed(user_id, known.ratings[:n])
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
        """Add a rating, which may be a new user's, and may come late."""
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
        """The ratings of a user in the table, in the order of arrival."""
        first, last = (int(np.searchsorted(self._user_ids, user_id, side=side)) for side in ("left", "right"))
        rows = self.ratings[first:last].select("item_id", "rating", "timestamp")
        return [Rated(item_id=item, rating=stars, timestamp=time) for item, stars, time in rows.iter_rows()]

    def _recomputed(self, user_id: int, ratings: list[Rated]) -> UserStates:
        """The state after some ratings; of one item the last rating counts."""
        latest = {one.item_id: one for one in ratings}
        rows = [(user_id, one.item_id, one.rating, one.timestamp) for one in latest.values()]
        table = pl.DataFrame(rows, schema=RATINGS_COLUMNS, orient="row")
        return user_states(histories_of(table, self.catalogue, np.array([user_id])), self.items)


def _time_of(rated: Rated) -> int:
    return rated.timestamp


@dataclass(kw_only=True)
class _Track:
    """The impressions or clicks of one user, in the order of time."""

    times: list[int] = field(default_factory=list)
    items: list[Int64s] = field(default_factory=list)  # item_idx of each time

    def add(self, item_idx: Int64s, time: int) -> None:
        at = bisect_right(self.times, time)
        self.times.insert(at, time)
        self.items.insert(at, item_idx)

    def between(self, since: int, until: int) -> TimedItems:
        """Shown or clicked items of one user from one second on and before another."""
        own = slice(bisect_left(self.times, since), bisect_left(self.times, until))
        items = self.items[own]
        item_idx = np.concatenate(items) if items else np.zeros(0, dtype=np.int64)
        times = np.repeat(np.array(self.times[own], dtype=np.int64), [len(one) for one in items])
        return TimedItems(offsets=np.array([0, len(item_idx)]), item_idx=item_idx, times=times)


@dataclass(kw_only=True)
class UserExposures:
    """The impressions and clicks of all users; changes as answers go out and clicks come in."""

    catalogue: Catalogue
    _shown: dict[int, _Track] = field(default_factory=dict, repr=False)
    _clicked: dict[int, _Track] = field(default_factory=dict, repr=False)
    _slots: set[tuple[int, str, int]] = field(default_factory=set, repr=False)  # user_id, request_id, item_idx

    def before(self, user_id: int | None, time: int) -> Exposures:
        """The exposures of one user strictly before a time, seconds UTC; none for a request without a user."""
        nothing = _Track()
        shown, clicked = (tracks.get(-1 if user_id is None else user_id, nothing) for tracks in self._tracks)
        return Exposures(
            requested_at=np.array([time]),
            shown=shown.between(time - FATIGUE_S, time),
            clicked=clicked.between(time - FATIGUE_S, time),
        )

    def observe_shown(self, user_id: int, shown: Shown) -> None:
        """Add the slots of an answer; an item that the same request showed before counts once."""
        known = self.catalogue.idx_of(np.array(sorted(set(shown.item_ids)), dtype=np.int64))
        slots = [(user_id, shown.request_id, item) for item in known[known >= 0].tolist()]
        new = [item for slot in slots if slot not in self._slots for item in slot[2:]]
        self._slots.update(slots)
        if new:
            self._shown.setdefault(user_id, _Track()).add(np.array(new, dtype=np.int64), shown.timestamp)

    def observe_click(self, user_id: int, clicked: Clicked) -> None:
        """Add a click, which may come late."""
        item_idx = self.catalogue.idx_of(np.array([clicked.item_id]))
        if item_idx[0] >= 0:
            self._clicked.setdefault(user_id, _Track()).add(item_idx, clicked.timestamp)

    @property
    def _tracks(self) -> tuple[dict[int, _Track], dict[int, _Track]]:
        return self._shown, self._clicked


def observations(exposed: Exposed) -> list[tuple[int, Shown | Clicked]]:
    """(user_id, event) pairs for `Recommender.observe`; slots that a request showed in one second form one event.

    Args:
        exposed: impressions and clicks of the log.
    """
    keys = ["user_id", "request_id", "shown_at"]
    answers = exposed.shown.group_by(keys, maintain_order=True).agg("item_id")
    shown: list[tuple[int, Shown | Clicked]] = [
        (user_id, Shown(request_id=request_id, item_ids=tuple(items), timestamp=at))
        for user_id, request_id, at, items in answers.iter_rows()
    ]
    clicks = exposed.clicks.select("user_id", "item_id", "timestamp").iter_rows()
    return shown + [(user_id, Clicked(item_id=item, timestamp=at)) for user_id, item, at in clicks]
