"""One line of JSON -> one event, impression or request, or a BadRow that says why not.

A line is a flat object with exactly the keys of its table, and "type": "event", "impression" or "request"; one without
a type is an event. `request_id` of an event may be left out. Two columns have a form of their own in JSON: a request's
history is a list of [item_id, rating, timestamp], and an impression's `features` and `feature_states` are lists of
numbers, null where a value is missing.

Python's own parser takes the last of two equal keys, NaN, and lines of any length; all three are refused here.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from recsys_core.data.fields import BadRow
from recsys_core.feedback import values as checks
from recsys_core.feedback.config import InteractionsConfig
from recsys_core.feedback.records import (
    EVENTS_TABLE,
    IMPRESSIONS_TABLE,
    REQUESTS_TABLE,
    Event,
    Impression,
    Record,
    RequestRecord,
    checked_row,
    pack_features,
)

MAX_LINE_BYTES = 1 << 20
"""A longer line is set aside unread; an event takes about 200 bytes, a request with a long history some 100 kB."""

ARRAY = "an array, where one object per line is expected"

RatedItem = tuple[int, float, int]
"""(item_id, stars, seconds UTC)."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a line is judged by, apart from itself."""

    now: int  # seconds UTC: nothing can have arrived later
    future_tolerance_s: int = InteractionsConfig().future_tolerance_s
    known_items: Collection[int] | None = None  # ids of the movies that exist; None: not looked up


def record_of(line: bytes, limits: Limits) -> Record:
    """The record of one line.

    Raises:
        BadRow: it is none.
    """
    values = object_of(line)
    kind = values.pop("type", "event")
    record: Record
    if kind == "event":
        record = event_of(values, limits.future_tolerance_s)
        _refuse_arrival("received_at", record.received_at, limits)
    elif kind == "impression":
        record = impression_of(values)
        _refuse_arrival("served_at", record.served_at // 1_000_000, limits)
    elif kind == "request":
        record = request_of(values)
        _refuse_arrival("served_at", record.served_at // 1_000_000, limits)
    else:
        raise BadRow("type", "unknown type", checks.described(kind))
    return record


def unknown_items(records: Iterable[Record], limits: Limits) -> Counter[int]:
    """item_id of no known movie -> how many of these events and impressions name it; empty if not looked up."""
    known = limits.known_items
    if known is None:
        return Counter()
    return Counter(one.item_id for one in records if not isinstance(one, RequestRecord) and one.item_id not in known)


def object_of(line: bytes) -> dict[str, object]:
    """The JSON object of one line, without its line end.

    Raises:
        BadRow: it is none.
    """
    if len(line) > MAX_LINE_BYTES:
        raise BadRow("", "line too long", _shown(line))
    if not line.strip():
        raise BadRow("", "blank line", "")
    try:
        values = json.loads(line.decode(), object_pairs_hook=_unique_pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        if line.strip() == b"[":  # an array that is printed over many lines
            raise BadRow("", ARRAY, _shown(line)) from error
        # RecursionError: thousands of brackets. UnicodeDecodeError is a ValueError.
        raise BadRow("", "not JSON", _shown(line)) from error
    if isinstance(values, list):
        raise BadRow("", ARRAY, _shown(line))
    if not isinstance(values, dict):
        raise BadRow("", "not an object", _shown(line))
    return values


def check_keys(values: dict[str, object], known: Collection[str], may_be_missing: Collection[str] = ()) -> None:
    """Refuse a missing key, and an unknown one, which may be an unannounced change of the format.

    Raises:
        BadRow: naming the first such key.
    """
    missing = [name for name in known if name not in values and name not in may_be_missing]
    if missing:
        raise BadRow(missing[0], "missing key", "")
    unknown = [name for name in values if name not in known]
    if unknown:
        raise BadRow("", "unknown key", ascii(unknown[0]))


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


def request_of(values: dict[str, object]) -> RequestRecord:
    """The request that a line's keys and values say.

    Raises:
        BadRow: they say none.
    """
    check_keys(values, REQUESTS_TABLE.columns)
    history = values["history"]
    given = None if history is None else history_text(_rated(history))
    row = checked_row(REQUESTS_TABLE, RequestRecord(**{**values, "history": given}))  # type: ignore[arg-type]  # checked by it
    return RequestRecord(**dict(zip(REQUESTS_TABLE.columns, row, strict=True)))


def impression_of(values: dict[str, object]) -> Impression:
    """The impression that a line's keys and values say.

    Raises:
        BadRow: they say none.
    """
    check_keys(values, IMPRESSIONS_TABLE.columns)
    packed = {"features": _features(values["features"]), "feature_states": _states(values["feature_states"])}
    row = checked_row(IMPRESSIONS_TABLE, Impression(**{**values, **packed}))  # type: ignore[arg-type]  # checked by it
    return Impression(**dict(zip(IMPRESSIONS_TABLE.columns, row, strict=True)))


def history_text(history: Sequence[RatedItem]) -> str:
    """A history as the log stores it.

    >>> history_text([(318, 4.5, 1714557600)])
    '[[318,4.5,1714557600]]'
    """
    return json.dumps([list(one) for one in history], separators=(",", ":"))


def read_history(stored: str) -> list[RatedItem]:
    """The history that `history_text` wrote."""
    return [(int(item), float(stars), int(at)) for item, stars, at in json.loads(stored)]


def _refuse_arrival(column: str, arrived: int, limits: Limits) -> None:
    """Nothing arrives later than now, for its day would stay open for years."""
    if arrived > limits.now + limits.future_tolerance_s:
        raise BadRow(column, "from the future", str(arrived))


def _shown(line: bytes) -> str:
    return line[:200].decode(errors="replace")


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        # A column's name is shown as one; any other text could hold what no table can, a lone surrogate for one.
        raise BadRow(twice if twice.isascii() and twice.isidentifier() else "", "duplicate key", ascii(twice))
    return values


def _no_constant(name: str) -> NoReturn:
    """NaN and Infinity are no JSON, though Python's parser lets them pass."""
    raise BadRow("", "not a finite number", name)


def _rated(history: object) -> list[RatedItem]:
    if not isinstance(history, list):
        raise BadRow("history", "wrong type", checks.described(history))
    rated = []
    for one in history:
        if not isinstance(one, list) or len(one) != 3:
            raise BadRow("history", "not [item_id, rating, timestamp]", checks.described(one))
        item, stars, at = one
        rated.append((checks.id_number("history", item), checks.stars("history", stars), checks.seconds("history", at)))
    return rated


def _features(given: object) -> bytes:
    if not isinstance(given, list):
        raise BadRow("features", "wrong type", checks.described(given))
    numbers = [np.nan if one is None else checks.number("features", one) for one in given]
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is rejected next
        packed = np.array(numbers, dtype=np.float32)
    if np.isinf(packed).any():
        raise BadRow("features", "beyond float32", str(numbers[int(np.isinf(packed).argmax())]))
    return pack_features(packed)


def _states(given: object) -> bytes:
    if not isinstance(given, list):
        raise BadRow("feature_states", "wrong type", checks.described(given))
    found = [checks.whole("feature_states", one) for one in given]
    if found and max(found) > 255:
        raise BadRow("feature_states", "unknown state of a feature", str(max(found)))
    return bytes(found)
