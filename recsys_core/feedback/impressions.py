"""One line of an import -> one request or one impression, or a BadRow that says why not.

Beside an event's kinds of values, two columns have a form of their own in JSON: a request's history is a list of
[item_id, rating, timestamp], an impression's `features` and `feature_states` are lists of numbers, null where a value
is missing.
"""

import json
from collections.abc import Sequence

import numpy as np

from recsys_core.data.quarantine import BadRow
from recsys_core.feedback import values as checks
from recsys_core.feedback.lines import check_keys
from recsys_core.feedback.records import (
    IMPRESSIONS_TABLE,
    REQUESTS_TABLE,
    Impression,
    Request,
    checked_row,
    pack_features,
)

Rated = tuple[int, float, int]
"""(item_id, stars, seconds UTC)."""


def request_of(values: dict[str, object]) -> Request:
    """The request that a line's keys and values say.

    Raises:
        BadRow: they say none.
    """
    check_keys(values, REQUESTS_TABLE.columns)
    history = values["history"]
    given = None if history is None else history_text(_rated(history))
    row = checked_row(REQUESTS_TABLE, Request(**{**values, "history": given}))  # type: ignore[arg-type]  # checked by it
    return Request(**dict(zip(REQUESTS_TABLE.columns, row, strict=True)))


def impression_of(values: dict[str, object]) -> Impression:
    """The impression that a line's keys and values say.

    Raises:
        BadRow: they say none.
    """
    check_keys(values, IMPRESSIONS_TABLE.columns)
    packed = {"features": _features(values["features"]), "feature_states": _states(values["feature_states"])}
    row = checked_row(IMPRESSIONS_TABLE, Impression(**{**values, **packed}))  # type: ignore[arg-type]  # checked by it
    return Impression(**dict(zip(IMPRESSIONS_TABLE.columns, row, strict=True)))


def history_text(history: Sequence[Rated]) -> str:
    """A history as the log stores it.

    >>> history_text([(318, 4.5, 1714557600)])
    '[[318,4.5,1714557600]]'
    """
    return json.dumps([list(one) for one in history], separators=(",", ":"))


def read_history(stored: str) -> list[Rated]:
    """The history that `history_text` wrote."""
    return [(int(item), float(stars), int(at)) for item, stars, at in json.loads(stored)]


def _rated(history: object) -> list[Rated]:
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
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told next
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
