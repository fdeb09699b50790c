"""One field of text -> one value, exactly as it was meant; bad rows are set aside with the reason.

There is no coercion: "3.0" is not the id 3, and "007" is not 7, because two spellings of one id are a sign of two files
that do not belong together. Ids above 2**31 - 1 are valid, up to MAX_ID. `columns` reads whole columns of a table from
outside, of any type, and calls this module for text.

A field that is not what it should be raises `BadRow`. A `Quarantine` collects the bad rows of a file with line, column,
reason and value, and refuses a file with too many of them; nothing is dropped silently. The module of each table
(`movielens.ratings`, `movielens.movies`) decides which values are bad.
"""

import math
import re
from datetime import datetime

import polars as pl

from recsys_core.data.schemas import EARLIEST_TIMESTAMP, MAX_ID, QUARANTINE, RATING_STEPS, YEARS
from recsys_core.days import second_of
from recsys_core.errors import DataError

MAX_VALUE_CHARS = 80
EARLY_STOP = 10_000
"""From this number of bad rows on, the share is checked while reading, so that an invalid file does not fill memory."""


class BadRow(Exception):  # noqa: N818  it never leaves this stage: parsers raise it, the reader catches it
    """One row is not what its table holds; `column` is '' if the whole row is bad."""

    def __init__(self, column: str, reason: str, value: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason
        self.value = value


class Quarantine:
    """The bad rows of one file, in reading order."""

    def __init__(self, file: str, max_bad_share: float) -> None:
        self.file = file
        self.max_bad_share = max_bad_share
        self._rows: list[tuple[str, int, str, str, str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, line: int, bad: BadRow) -> None:
        """Add one row; a long value is cut to 80 characters."""
        self._rows.append((self.file, line, bad.column, bad.reason, bad.value[:MAX_VALUE_CHARS]))

    def check_early(self, n_lines: int) -> None:
        """Stop in the middle of a file if too many of the first `n_lines` are bad."""
        if len(self) >= EARLY_STOP:
            self.check(n_lines)

    def check(self, n_lines: int) -> None:
        """Refuse a file with too large a share of bad rows.

        Raises:
            DataError: the share is above `max_bad_share`; the message names the first bad row.
        """
        if len(self) <= self.max_bad_share * n_lines:
            return
        _, line, column, reason, value = min(self._rows, key=lambda row: row[1])
        where = f"line {line}, column {column}" if column else f"line {line}"
        raise DataError(
            f"{self.file}: {len(self):,} of {n_lines:,} lines ({len(self) / n_lines:.1%}) are bad, above the "
            f"{self.max_bad_share:.1%} allowed; the first is {where}: {reason} ({value!r}). "
            f"Fix the file, or raise max_bad_share if these rows may be lost."
        )

    def table(self) -> pl.DataFrame:
        """The bad rows by line, in the QUARANTINE schema."""
        return rejected_table(self._rows)


def rejected_table(rows: list[tuple[str, int, str, str, str]]) -> pl.DataFrame:
    """Rows of (file, line, column, reason, value) as a table, by file and line."""
    schema = {"file": pl.String, "line": pl.Int64, "column": pl.String, "reason": pl.String, "value": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row").sort("file", "line", maintain_order=True)
    return QUARANTINE.validate(table)


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

    Much faster than row by row, which remains for the rare other forms.
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
