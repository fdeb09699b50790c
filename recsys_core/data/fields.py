"""One field of text -> one value, exactly as it was meant, or a BadRow that says why not.

There is no coercion: "3.0" is not the id 3, and "007" is not 7, since two spellings of one id are a sign of two files
that do not belong together. Ids above 2**31 - 1 are fine, up to MAX_ID.
"""

import math
import re

from recsys_core.data.quarantine import BadRow
from recsys_core.data.schemas import EARLIEST_TIMESTAMP, MAX_ID, RATING_STEPS

MAX_INT64 = 2**63 - 1
BEYOND_MAX_ID = "id beyond 2**53 - 1"
WHOLE = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
MILLISECONDS_FROM = 100_000_000_000
"""In seconds this is the year 5138; in milliseconds, 1973."""


def whole_number(text: str, column: str) -> int:
    """A whole number from 0 to 2**63 - 1 in its plain spelling.

    >>> whole_number("31", "movieId")
    31
    """
    if not text:
        raise BadRow(column, "empty", text)
    if not WHOLE.fullmatch(text):
        raise BadRow(column, "not a whole number", text)
    if text.startswith("-"):
        raise BadRow(column, "negative", text)
    if len(text) > 1 and text.startswith("0"):
        raise BadRow(column, "leading zeros", text)
    if len(text) > 19 or int(text) > MAX_INT64:  # length first: int() itself refuses thousands of digits
        raise BadRow(column, "beyond int64", text)
    return int(text)


def id_number(text: str, column: str) -> int:
    """The id of a user or an item, from 0 to MAX_ID."""
    value = whole_number(text, column)
    if value > MAX_ID:
        raise BadRow(column, BEYOND_MAX_ID, text)
    return value


def stars(text: str, column: str) -> float:
    """A rating on the half-star grid."""
    if not text:
        raise BadRow(column, "empty", text)
    if text.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
        raise BadRow(column, "not a finite number", text)
    if not NUMBER.fullmatch(text):
        raise BadRow(column, "not a number", text)
    value = float(text)
    if not math.isfinite(value) or not RATING_STEPS[0] <= value <= RATING_STEPS[-1]:
        raise BadRow(column, "outside 0.5 to 5", text)
    if value not in RATING_STEPS:
        raise BadRow(column, "off the half-star grid", text)
    return value


def timestamp(text: str, column: str, latest: int) -> int:
    """Seconds since 1970 UTC, from MovieLens' first rating to `latest`, both included."""
    value = whole_number(text, column)
    if value < EARLIEST_TIMESTAMP:
        raise BadRow(column, "before MovieLens' first rating", text)
    if value >= MILLISECONDS_FROM:
        raise BadRow(column, "milliseconds, not seconds", text)
    if value > latest:
        raise BadRow(column, "from the future", text)
    return value
