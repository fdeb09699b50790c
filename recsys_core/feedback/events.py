"""One line of the log -> one event, or a BadRow that says why not.

A line is a flat JSON object with exactly the keys of INTERACTIONS_COLUMNS. Nothing is coerced: `"7"` and `7.0` are no
user ids, and a key that is unknown today is a change of the format that nobody announced.
"""

import json
import math
from dataclasses import dataclass
from typing import NoReturn

from recsys_core.data.fields import MAX_INT64, MILLISECONDS_FROM
from recsys_core.data.quarantine import BadRow
from recsys_core.data.schemas import EARLIEST_TIMESTAMP, RATING_STEPS
from recsys_core.feedback.schemas import INTERACTIONS_COLUMNS, KINDS, MAX_EVENT_ID_CHARS

MAX_LINE_BYTES = 64 << 10
"""A longer line is set aside unread; an event takes about 200 bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What one user did with one item; `value` is a rating's stars, None for other kinds."""

    event_id: str
    user_id: int
    item_id: int
    kind: str
    value: float | None
    timestamp: int  # when it happened, seconds UTC
    received_at: int  # when it arrived, seconds UTC

    def payload(self) -> tuple[object, ...]:
        """All that the client sent: a second delivery of an event differs in `received_at` alone."""
        return self.event_id, self.user_id, self.item_id, self.kind, self.value, self.timestamp


def parse_event(line: bytes, future_tolerance_s: int) -> Event:
    """The event of one line, without its line end.

    Args:
        line: JSON in UTF-8.
        future_tolerance_s: how much later than its arrival an event may be dated.

    Raises:
        BadRow: the line is not such an event.
    """
    values = _object_of(line)
    _check_keys(values)
    event = Event(
        event_id=_event_id(values["event_id"]),
        user_id=_whole(values, "user_id"),
        item_id=_whole(values, "item_id"),
        kind=_kind(values["kind"]),
        value=_value(values),
        timestamp=_instant(values, "timestamp"),
        received_at=_instant(values, "received_at"),
    )
    if event.timestamp > event.received_at + future_tolerance_s:
        raise BadRow("timestamp", "from the future", str(event.timestamp))
    return event


def _object_of(line: bytes) -> dict[str, object]:
    if len(line) > MAX_LINE_BYTES:
        raise BadRow("", "line too long", _shown(line))
    if not line.strip():
        raise BadRow("", "blank line", "")
    try:
        values = json.loads(line.decode(), object_pairs_hook=_unique_pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        # RecursionError: thousands of brackets. UnicodeDecodeError is a ValueError.
        raise BadRow("", "not JSON", _shown(line)) from error
    if not isinstance(values, dict):
        raise BadRow("", "not an object", _shown(line))
    return values


def _described(value: object) -> str:
    """A scalar as it is; of a nested value only the type, since a deep one cannot be printed."""
    return type(value).__name__ if isinstance(value, list | dict) else ascii(value)


def _shown(line: bytes) -> str:
    return line[:200].decode(errors="replace")


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Pairs as a dict; alone, json would silently take the last of two equal keys."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRow(twice if twice in INTERACTIONS_COLUMNS else "", "duplicate key", ascii(twice))
    return values


def _no_constant(name: str) -> NoReturn:
    """NaN and Infinity are no JSON, though Python's parser lets them pass."""
    raise BadRow("", "not a finite number", name)


def _check_keys(values: dict[str, object]) -> None:
    missing = [name for name in INTERACTIONS_COLUMNS if name not in values]
    if missing:
        raise BadRow(missing[0], "missing key", "")
    unknown = [name for name in values if name not in INTERACTIONS_COLUMNS]
    if unknown:
        raise BadRow("", "unknown key", ascii(unknown[0]))


def _event_id(value: object) -> str:
    if not isinstance(value, str):
        raise BadRow("event_id", "wrong type", _described(value))
    if not 0 < len(value) <= MAX_EVENT_ID_CHARS:
        raise BadRow("event_id", f"not of 1 to {MAX_EVENT_ID_CHARS} characters", ascii(value))
    if not value.isprintable():  # a lone surrogate, too, which no table could hold
        raise BadRow("event_id", "not printable", ascii(value))
    return value


def _whole(values: dict[str, object], column: str) -> int:
    value = values[column]
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRow(column, "wrong type", _described(value))
    if value < 0:
        raise BadRow(column, "negative", str(value))
    if value > MAX_INT64:
        raise BadRow(column, "beyond int64", str(value))
    return value


def _kind(value: object) -> str:
    if not isinstance(value, str):
        raise BadRow("kind", "wrong type", _described(value))
    if value not in KINDS:
        raise BadRow("kind", "unknown kind", ascii(value))
    return value


def _value(values: dict[str, object]) -> float | None:
    value = values["value"]
    if values["kind"] != "rating":
        if value is not None:
            raise BadRow("value", "only a rating has a value", _described(value))
        return None
    # JSON knows one kind of number, so that 4 and 4.0 are the same here.
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadRow("value", "wrong type", _described(value))
    if not RATING_STEPS[0] <= value <= RATING_STEPS[-1]:
        reason = "outside 0.5 to 5" if isinstance(value, int) or math.isfinite(value) else "not a finite number"
        raise BadRow("value", reason, ascii(value))
    if value not in RATING_STEPS:
        raise BadRow("value", "off the half-star grid", ascii(value))
    return float(value)


def _instant(values: dict[str, object], column: str) -> int:
    value = _whole(values, column)
    if value < EARLIEST_TIMESTAMP:
        raise BadRow(column, "before MovieLens' first rating", str(value))
    if value >= MILLISECONDS_FROM:
        raise BadRow(column, "milliseconds, not seconds", str(value))
    return value
