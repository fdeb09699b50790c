"""What a recommender's users were shown and clicked, followed one by one as a service sees it.

A request at time t reads what lies strictly before t.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

import numpy as np

from recsys_core.arrays import Int64s
from recsys_core.data.histories import Catalogue
from recsys_core.features.exposures import FATIGUE_S, Exposures, Marks
from recsys_core.feedback.exposures import Exposed
from recsys_core.serving.requests import Clicked, Shown


@dataclass(kw_only=True)
class _Track:
    """Items with times of one user, in the order of time."""

    times: list[int] = field(default_factory=list)
    items: list[Int64s] = field(default_factory=list)  # item_idx of each time

    def add(self, item_idx: Int64s, time: int) -> None:
        at = bisect_right(self.times, time)
        self.times.insert(at, time)
        self.items.insert(at, item_idx)

    def between(self, since: int, until: int) -> Marks:
        """From one second on and before another, as the marks of one user."""
        own = slice(bisect_left(self.times, since), bisect_left(self.times, until))
        items = self.items[own]
        item_idx = np.concatenate(items) if items else np.zeros(0, dtype=np.int64)
        times = np.repeat(np.array(self.times[own], dtype=np.int64), [len(one) for one in items])
        return Marks(offsets=np.array([0, len(item_idx)]), item_idx=item_idx, times=times)


@dataclass(kw_only=True)
class UserExposures:
    """Everybody who was shown anything; changes as answers go out and clicks come in."""

    catalogue: Catalogue
    _shown: dict[int, _Track] = field(default_factory=dict, repr=False)
    _clicked: dict[int, _Track] = field(default_factory=dict, repr=False)
    _slots: set[tuple[int, str, int]] = field(default_factory=set, repr=False)  # user_id, request_id, item_idx

    def before(self, user_id: int | None, time: int) -> Exposures:
        """Of one user, strictly before a time, seconds UTC; nothing of somebody unnamed."""
        nothing = _Track()
        shown, clicked = (tracks.get(-1 if user_id is None else user_id, nothing) for tracks in self._tracks)
        return Exposures(
            requested_at=np.array([time]),
            shown=shown.between(time - FATIGUE_S, time),
            clicked=clicked.between(time - FATIGUE_S, time),
        )

    def observe_shown(self, user_id: int, shown: Shown) -> None:
        """Take in what an answer showed; an item that its request showed before counts once."""
        known = self.catalogue.idx_of(np.array(sorted(set(shown.item_ids)), dtype=np.int64))
        slots = [(user_id, shown.request_id, item) for item in known[known >= 0].tolist()]
        new = [item for slot in slots if slot not in self._slots for item in slot[2:]]
        self._slots.update(slots)
        if new:
            self._shown.setdefault(user_id, _Track()).add(np.array(new, dtype=np.int64), shown.timestamp)

    def observe_click(self, user_id: int, clicked: Clicked) -> None:
        """Take in a click, which may come late."""
        item_idx = self.catalogue.idx_of(np.array([clicked.item_id]))
        if item_idx[0] >= 0:
            self._clicked.setdefault(user_id, _Track()).add(item_idx, clicked.timestamp)

    @property
    def _tracks(self) -> tuple[dict[int, _Track], dict[int, _Track]]:
        return self._shown, self._clicked


def observations(exposed: Exposed) -> list[tuple[int, Shown | Clicked]]:
    """user_id and what happened, for a recommender to take in; the slots of a request that were shown at once together.

    Args:
        exposed: as a log tells it.
    """
    keys = ["user_id", "request_id", "shown_at"]
    answers = exposed.shown.group_by(keys, maintain_order=True).agg("item_id")
    shown: list[tuple[int, Shown | Clicked]] = [
        (user_id, Shown(request_id=request_id, item_ids=tuple(items), timestamp=at))
        for user_id, request_id, at, items in answers.iter_rows()
    ]
    clicks = exposed.clicks.select("user_id", "item_id", "timestamp").iter_rows()
    return shown + [(user_id, Clicked(item_id=item, timestamp=at)) for user_id, item, at in clicks]
