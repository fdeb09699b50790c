"""One field of text -> one value, exactly as it was meant, or a BadRow that says why not.

There is no coercion: "3.0" is not the id 3, and "007" is not 7, since two spellings of one id are a sign of two files
that do not belong together. Ids above 2**31 - 1 are fine, up to MAX_ID. Whole columns of a table from outside,
of whatever type, are read by `columns`, which comes here for what is text.
"""

import math
import re
from datetime import datetime

import polars as pl

from recsys_core.data.quarantine import BadRow
from recsys_core.data.schemas import EARLIEST_TIMESTAMP, MAX_ID, RATING_STEPS, YEARS
from recsys_core.days import second_of

MAX_INT64 = 2**63 - 1
BEYOND_MAX_ID = "id beyond 2**53 - 1"
WHOLE = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
MILLISECONDS_FROM = 100_000_000_000
"""In seconds this is the year 5138; in milliseconds, 1973."""

ISO_TIME = re.compile(
    # A zone is an offset, Z, or " UTC" as BigQuery writes it.
    r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}(?::?\d{2})?| UTC)?)?",
    re.ASCII,
)
PLAIN_ISO_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"


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


def moment(text: str, column: str) -> int:
    """Seconds since 1970 UTC of a date, or of a date and time, as ISO 8601 writes them.

    Without an offset it is UTC. A date alone is its first second; parts of a second are cut off.

    >>> moment("1997-09-22 22:02:38", "timestamp"), moment("1997-09-23T00:02:38.5+02:00", "timestamp")
    (874965758, 874965758)
    """
    if not text:
        raise BadRow(column, "empty", text)
    if not ISO_TIME.fullmatch(text):
        raise BadRow(column, "not a date and time like 1997-09-22 22:02:38", text)
    try:
        return second_of(datetime.fromisoformat(text.removesuffix(" UTC")))
    except (ValueError, OverflowError) as error:
        raise BadRow(column, "not in the calendar", text) from error


def plain_moments(text: pl.Expr) -> pl.Expr:
    """What `moment` gives for the plain form YYYY-MM-DD HH:MM:SS, also with a T; null for any other text.

    Many times faster than row by row, which is left for the rare other forms.
    """
    plain = pl.when(text.str.contains(PLAIN_ISO_TIME)).then(text.str.replace("T", " ", literal=True))
    return plain.str.strptime(pl.Datetime("us"), "%Y-%m-%d %H:%M:%S", strict=False).dt.epoch("s")


def is_moment(text: str) -> bool:
    """Whether a text has the form that `moment` reads."""
    return ISO_TIME.fullmatch(text) is not None


def year(text: str, column: str) -> int:
    """A year of release: four digits, 1870 to 2100.

    >>> year("1995", "year")
    1995
    """
    value = whole_number(text, column)
    if not YEARS[0] <= value <= YEARS[1]:
        raise BadRow(column, f"not from {YEARS[0]} to {YEARS[1]}", text)
    return value


def timestamp(text: str, column: str, latest: int, *, is_iso: bool = False) -> int:
    """Seconds since 1970 UTC, from MovieLens' first rating to `latest`, both included.

    Args:
        text: whole seconds; with `is_iso` what `moment` reads.
        column: for the message.
        latest: seconds UTC.
        is_iso: which of the two the file has.
    """
    value = moment(text, column) if is_iso else whole_number(text, column)
    if value < EARLIEST_TIMESTAMP:
        raise BadRow(column, "before MovieLens' first rating", text)
    if value >= MILLISECONDS_FROM:
        raise BadRow(column, "milliseconds, not seconds", text)
    if value > latest:
        raise BadRow(column, "from the future", text)
    return value
