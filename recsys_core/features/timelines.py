"""Counts as of any moment: running totals of events, so that "everything before t" is one look-up and one difference.

For millions of (key, t) questions this takes a sort and two binary searches, where a table per day would have to be
joined as of each question. Totals are integers: whatever the order of the rows, and whatever is appended later, the
counts before t keep their bits.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Events by key, oldest first, and the running totals of what they count."""

    keys: Int64s  # (n_keys,) ascending, unique
    starts: Int64s  # (n_keys + 1,) the first event of each key
    times: Int64s  # (n_events,) ascending within a key
    totals: Int64s  # (n_events + 1, n_columns) over all events before this one, of whatever key

    def before(self, keys: Int64s, times: Int64s) -> Int64s:
        """(n, n_columns) totals of the key's events strictly before each time; 0 for a key without events.

        Args:
            keys: (n,).
            times: (n,) an event of exactly this second is not known yet.
        """
        if not len(self.keys):
            return np.zeros((len(keys), self.totals.shape[1]), dtype=np.int64)
        at, is_known = self._places(keys)
        codes = at * self._span + np.clip(times - self._origin, 0, self._span - 1)
        # Questions in the order of the events walk through memory once; in any other they wait for it at every step.
        order = np.argsort(codes)
        last = np.searchsorted(self._pairs, codes[order], side="left")
        totals = np.empty((len(keys), self.totals.shape[1]), dtype=np.int64)
        totals[order] = (self.totals[last] - self.totals[self.starts[at[order]]]) * is_known[order, None]
        return totals

    def first_times(self, keys: Int64s) -> Int64s:
        """(n,) when the key's first event was; 0 for a key without events."""
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
        """More than any time since the origin, so that the numbers of two keys never meet."""
        return int(self.times.max()) - self._origin + 2


def timeline_of(keys: Int64s, times: Int64s, counted: Int64s) -> Timeline:
    """The timeline of some events, in whatever order they come.

    Args:
        keys: (n_events,) whose event it is.
        times: (n_events,) seconds UTC.
        counted: (n_events, n_columns) what each event adds to the totals of its key.
    """
    order = np.lexsort((times, keys))
    unique, starts = np.unique(keys[order], return_index=True)
    totals = np.zeros((len(keys) + 1, counted.shape[1]), dtype=np.int64)
    np.cumsum(counted[order], axis=0, out=totals[1:])
    return Timeline(
        keys=unique, starts=np.append(starts, len(keys)).astype(np.int64), times=times[order], totals=totals
    )
