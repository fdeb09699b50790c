"""Impressions and clicks of users before a request: the input of the feature of fatigue.

`Exposures` are as of requests. `ExposureLog` holds all impressions and clicks, and extracts exposures for any number of
requests. A service tracks its users one by one instead (`serving.user_state`).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_core.arrays import Int64s
from recsys_core.data.histories import Catalogue, offsets_of, places_of
from recsys_core.days import DAY_S

FATIGUE_DAYS = 30
"""Days for which an impression counts: chosen, not measured, since MovieLens has no impressions."""

FATIGUE_S = FATIGUE_DAYS * DAY_S


@dataclass(frozen=True, kw_only=True)
class TimedItems:
    """Items with times, by user: row u owns `item_idx[offsets[u]:offsets[u + 1]]` and its twin, oldest first."""

    offsets: Int64s  # (n_users + 1,)
    item_idx: Int64s  # (n_marks,)
    times: Int64s  # (n_marks,) seconds UTC

    def of(self, user: int) -> tuple[Int64s, Int64s]:
        """(n,) item_idx and (n,) times of one row."""
        own = slice(self.offsets[user], self.offsets[user + 1])
        return self.item_idx[own], self.times[own]

    def select(self, users: Int64s) -> "TimedItems":
        """Some rows, in the given order."""
        first, lengths = self.offsets[users], np.diff(self.offsets)[users]
        places = places_of(first, lengths)
        return TimedItems(offsets=offsets_of(lengths), item_idx=self.item_idx[places], times=self.times[places])


@dataclass(frozen=True, kw_only=True)
class Exposures:
    """Items that each user was shown and clicked strictly before the request; n_users may be 1.

    Attributes:
        requested_at: (n_users,) seconds UTC. shown: items of the catalogue with the second in which they were shown,
        each once per request. Impressions more than
            `FATIGUE_DAYS` days before may be left out.
        clicked: the same of clicks.
    """

    requested_at: Int64s
    shown: TimedItems
    clicked: TimedItems

    def select(self, users: Int64s) -> "Exposures":
        """Some rows, in the given order."""
        return Exposures(
            requested_at=self.requested_at[users], shown=self.shown.select(users), clicked=self.clicked.select(users)
        )


@dataclass(frozen=True, kw_only=True)
class ExposureLog:
    """All impressions and clicks, for exposures at any time."""

    shown: "TimedItemLog"
    clicked: "TimedItemLog"

    def before(self, user_ids: Int64s, times: Int64s, arrived_before: Int64s | None = None) -> Exposures:
        """One row per query (user, time), in the given order.

        Args:
            user_ids: (n,) may repeat; a user without impressions has no exposures.
            times: (n,) seconds UTC; impressions and clicks strictly before it count.
            arrived_before: (n,) seconds UTC; only what arrived before it counts. None: arrival does not matter.
        """
        return Exposures(
            requested_at=times,
            shown=self.shown.before(user_ids, times, arrived_before),
            clicked=self.clicked.before(user_ids, times, arrived_before),
        )


@dataclass(frozen=True, kw_only=True)
class TimedItemLog:
    """Items with times and arrivals, by user and time."""

    user_ids: Int64s  # (n_users,) ascending, unique
    codes: Int64s  # (n,) ascending: one number for the user's row and the time
    span: int  # more than any time since the origin, so that the codes of two users never meet
    origin: int  # seconds UTC
    item_idx: Int64s  # (n,)
    times: Int64s  # (n,) seconds UTC
    arrived_at: Int64s  # (n,) seconds UTC

    def before(self, user_ids: Int64s, times: Int64s, arrived_before: Int64s | None) -> TimedItems:
        """Rows of each (user, time) from the `FATIGUE_DAYS` days before it; arguments as in `ExposureLog.before`."""
        first, last = self._place(user_ids, times - FATIGUE_S), self._place(user_ids, times)
        is_known = np.isin(user_ids, self.user_ids)
        lengths = np.where(is_known, last - first, 0)
        places = places_of(first, lengths)
        if arrived_before is not None:
            rows = np.repeat(np.arange(len(user_ids)), lengths)
            had_arrived = self.arrived_at[places] < arrived_before[rows]
            places, lengths = places[had_arrived], np.bincount(rows[had_arrived], minlength=len(user_ids))
        return TimedItems(offsets=offsets_of(lengths), item_idx=self.item_idx[places], times=self.times[places])

    def _place(self, user_ids: Int64s, times: Int64s) -> Int64s:
        """(n,) the first row of each user at or after a time."""
        codes = np.searchsorted(self.user_ids, user_ids) * self.span + np.clip(times - self.origin, 0, self.span - 1)
        return np.searchsorted(self.codes, codes, side="left")


def exposure_log(shown: pl.DataFrame, clicks: pl.DataFrame, catalogue: Catalogue) -> ExposureLog:
    """The log of some shown slots and clicks, given in any order.

    Args:
        shown: request_id, user_id, item_id, shown_at. An item that a request showed twice counts once; slots of unknown
            users (null) are left out.
        clicks: user_id, item_id, timestamp, and received_at if arrival matters.
        catalogue: maps items to rows; items outside it are left out.
    """
    slots = shown.sort("shown_at").unique(["user_id", "request_id", "item_id"], keep="first", maintain_order=True)
    # A slot is logged in the second in which it is shown; clicks without received_at count as received at once.
    received_at = pl.col("received_at" if "received_at" in clicks.columns else "timestamp")
    return ExposureLog(
        shown=_timed_item_log(slots.select("user_id", "item_id", at="shown_at", arrived_at="shown_at"), catalogue),
        clicked=_timed_item_log(clicks.select("user_id", "item_id", at="timestamp", arrived_at=received_at), catalogue),
    )


def _timed_item_log(rows: pl.DataFrame, catalogue: Catalogue) -> TimedItemLog:
    numbered = rows.with_columns(item_idx=pl.Series(catalogue.idx_of(rows["item_id"].to_numpy())))
    known = numbered.filter(pl.col("user_id").is_not_null(), pl.col("item_idx") >= 0).sort("user_id", "at", "item_idx")
    times = known["at"].to_numpy()
    user_ids, places = np.unique(known["user_id"].to_numpy(), return_inverse=True)
    origin = int(times.min()) if len(times) else 0
    span = int(times.max()) - origin + 2 if len(times) else 1
    return TimedItemLog(
        user_ids=user_ids,
        codes=places * span + (times - origin),
        span=span,
        origin=origin,
        item_idx=known["item_idx"].to_numpy(),
        times=times,
        arrived_at=known["arrived_at"].to_numpy(),
    )
