"""One line of an import -> one event, or a BadRow that says why not.

A line is a flat JSON object with exactly the keys of INTERACTIONS_COLUMNS; `request_id` may be left out.
"""

from recsys_core.data.quarantine import BadRow
from recsys_core.feedback.lines import check_keys
from recsys_core.feedback.records import EVENTS_TABLE, Event, checked_row


def event_of(values: dict[str, object], future_tolerance_s: int) -> Event:
    """The event that a line's keys and values say.

    Args:
        values: of one line.
        future_tolerance_s: how much later than its arrival an event may be dated.

    Raises:
        BadRow: they say none.
    """
    check_keys(values, EVENTS_TABLE.columns, may_be_missing=["request_id"])
    row = checked_row(EVENTS_TABLE, Event(**{"request_id": None, **values}))  # type: ignore[arg-type]  # checked by it
    event = Event(**dict(zip(EVENTS_TABLE.columns, row, strict=True)))
    if is_from_the_future(event.timestamp, event.received_at, future_tolerance_s):
        raise BadRow("timestamp", "from the future", str(event.timestamp))
    return event


def is_from_the_future(timestamp: int, received_at: int, tolerance_s: int) -> bool:
    """Whether an event is dated later than it can have happened, both in seconds."""
    return timestamp > received_at + tolerance_s
