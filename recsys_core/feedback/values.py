"""The kinds of values in the log: the storage type of each, and the check that returns a value or raises BadRow.

The checks are the same for lines of JSON and for the records of our own service. There is no coercion: `"7"` and `7.0`
are not user ids. The one exception: a float may be given as a whole number, because JSON has one number type.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pandera.polars as pa
import polars as pl

from recsys_core.data.fields import BEYOND_MAX_ID, MAX_INT64, MILLISECONDS_FROM, BadRow
from recsys_core.data.schemas import EARLIEST_TIMESTAMP, MAX_ID, RATING_STEPS

ValueCheck = Callable[[str, object], object]
"""(column name, value) -> the value; raises BadRow."""

KINDS = ("rating", "click", "skip")
"""Actions of a user on an item; only a rating has a value."""

MAX_ID_CHARS = 128

FRESH, MISSING, STALE = 0, 1, 2
"""The state of a feature's value when it was read: as declared, undefined, or older than allowed. For the last two the
default was used. The codes are part of the log's format, so they are declared here and not with the features."""

_MICRO = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of column: its storage type and its allowed values."""

    dtype: pl.DataType
    check: ValueCheck  # of a value that arrives
    stored: pa.Check | None = None  # of a column that was read back


def described(value: object) -> str:
    """A scalar as text; for a nested value only its type, because deep nesting cannot be printed."""
    return type(value).__name__ if isinstance(value, list | dict) else ascii(value)


def name(column: str, value: object) -> str:
    """An id or a version: 1 to 128 printable characters."""
    if not isinstance(value, str):
        raise BadRow(column, "wrong type", described(value))
    if not 0 < len(value) <= MAX_ID_CHARS:
        raise BadRow(column, f"not of 1 to {MAX_ID_CHARS} characters", ascii(value))
    if not value.isprintable():  # a lone surrogate, too, which no table could hold
        raise BadRow(column, "not printable", ascii(value))
    return value


def text(column: str, value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise BadRow(column, "wrong type", described(value))
    return value


def whole(column: str, value: object) -> int:
    """A whole number from 0 to 2**63 - 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRow(column, "wrong type", described(value))
    if value < 0:
        raise BadRow(column, "negative", str(value))
    if value > MAX_INT64:
        raise BadRow(column, "beyond int64", str(value))
    return value


def id_number(column: str, value: object) -> int:
    """The id of a user or an item, from 0 to MAX_ID."""
    checked = whole(column, value)
    if checked > MAX_ID:
        raise BadRow(column, BEYOND_MAX_ID, str(checked))
    return checked


def from_one(column: str, value: object) -> int:
    """A whole number from 1 on, as of places and counts."""
    checked = whole(column, value)
    if checked == 0:
        raise BadRow(column, "not from 1 on", "0")
    return checked


def seconds(column: str, value: object) -> int:
    """Seconds since 1970 UTC, from MovieLens' first rating on."""
    checked = whole(column, value)
    if checked < EARLIEST_TIMESTAMP:
        raise BadRow(column, "before MovieLens' first rating", str(checked))
    if checked >= MILLISECONDS_FROM:
        raise BadRow(column, "milliseconds, not seconds", str(checked))
    return checked


def microseconds(column: str, value: object) -> int:
    """Microseconds since 1970 UTC, from MovieLens' first rating on."""
    checked = whole(column, value)
    if checked < EARLIEST_TIMESTAMP * _MICRO:
        raise BadRow(column, "not microseconds, or before MovieLens' first rating", str(checked))
    if checked >= MILLISECONDS_FROM * _MICRO:
        raise BadRow(column, "nanoseconds, not microseconds", str(checked))
    return checked


def number(column: str, value: object) -> float:
    """A finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadRow(column, "wrong type", described(value))
    # By comparison, because `math.isfinite` fails for an integer of hundreds of digits.
    if not -sys.float_info.max <= value <= sys.float_info.max:
        raise BadRow(column, "not a finite number", ascii(value))
    return float(value) + 0.0  # -0.0 becomes 0.0, as SQLite would make it


def share(column: str, value: object) -> float:
    """A number from 0 to 1."""
    checked = number(column, value)
    if not 0 <= checked <= 1:
        raise BadRow(column, "outside 0 to 1", str(checked))
    return checked


def propensity(column: str, value: object) -> float:
    """A probability above 0, because the item was shown."""
    checked = share(column, value)
    if checked == 0:
        raise BadRow(column, "a chance of 0", str(checked))
    return checked


def kind(column: str, value: object) -> str:
    """One of KINDS."""
    if not isinstance(value, str):
        raise BadRow(column, "wrong type", described(value))
    if value not in KINDS:
        raise BadRow(column, "unknown kind", ascii(value))
    return value


def stars(column: str, value: object) -> float:
    """A rating on the half-star grid."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadRow(column, "wrong type", described(value))
    if not RATING_STEPS[0] <= value <= RATING_STEPS[-1]:
        reason = "outside 0.5 to 5" if isinstance(value, int) or math.isfinite(value) else "not a finite number"
        raise BadRow(column, reason, ascii(value))
    if value not in RATING_STEPS:
        raise BadRow(column, "off the half-star grid", ascii(value))
    return float(value)


def floats(column: str, value: object) -> bytes:
    """Little-endian float32 numbers; NaN is allowed, and infinity is not checked."""
    if not isinstance(value, bytes):
        raise BadRow(column, "wrong type", described(value))
    if len(value) % 4:
        raise BadRow(column, "not whole float32 numbers", f"{len(value)} bytes")
    return value


def states(column: str, value: object) -> bytes:
    """One byte per feature: FRESH, MISSING or STALE."""
    if not isinstance(value, bytes):
        raise BadRow(column, "wrong type", described(value))
    if value and max(value) > STALE:
        raise BadRow(column, "unknown state of a feature", str(max(value)))
    return value


NAME = Kind(dtype=pl.String(), check=name, stored=pa.Check.str_length(1, MAX_ID_CHARS))
TEXT = Kind(dtype=pl.String(), check=text)
ID = Kind(dtype=pl.Int64(), check=id_number, stored=pa.Check.ge(0))
FROM_ONE = Kind(dtype=pl.Int64(), check=from_one, stored=pa.Check.ge(1))
SECONDS = Kind(dtype=pl.Int64(), check=seconds, stored=pa.Check.ge(EARLIEST_TIMESTAMP))
MICROSECONDS = Kind(dtype=pl.Int64(), check=microseconds, stored=pa.Check.ge(EARLIEST_TIMESTAMP * _MICRO))
NUMBER = Kind(dtype=pl.Float64(), check=number)
SHARE = Kind(dtype=pl.Float64(), check=share, stored=pa.Check.in_range(0, 1))
PROPENSITY = Kind(dtype=pl.Float64(), check=propensity, stored=pa.Check.in_range(0, 1, include_min=False))
KIND = Kind(dtype=pl.String(), check=kind, stored=pa.Check.isin(KINDS))
STARS = Kind(dtype=pl.Float32(), check=stars, stored=pa.Check.in_range(0.5, 5.0))
FLOATS = Kind(dtype=pl.Binary(), check=floats)
STATES = Kind(dtype=pl.Binary(), check=states)
