"""A column of an external table, of any type -> ids, times, years or stars, or a DataError that names the row.

Parquet has types, but no units of time and no notion of an id. Each column is read independently. Text is parsed by
`fields`, which also reads the data sets of `raw_data`. `notes` receives one sentence per accepted oddity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import polars as pl

from recsys_core.data.fields import BadRow, is_moment, moment, plain_moments, year
from recsys_core.data.schemas import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, RATING_STEPS, YEARS
from recsys_core.days import day_of
from recsys_core.errors import DataError

UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
"""The known units, and their number per second."""

STEPS_BELOW = 315_532_800
"""1980-01-01 UTC. Numbers with a lower median are not times of ratings, but may be steps."""

FAR = 100
"""A time below the median by this factor is in another unit or missing; units differ by factors of a thousand."""

MAX_WHOLE_FLOAT = 2**53
"""Above it, float64 cannot represent all whole numbers."""

MAX_WHOLE_FLOAT32 = 2**24

NUMERAL = r"^[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?$"
WHOLE_NUMERAL = r"^(-?[0-9]{1,19})(?:\.0*)?$"
DAY_AS_NUMBER = r"^(?:19[7-9][0-9]|20[0-9][0-9]|2100)(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])$"

MISSING_AS_TEXT = ("nan", "NaN", "None", "<NA>", "null", "NaT")
"""Spellings of a missing value by other libraries when they convert a column to text."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column with its file and name, for messages."""

    file: str
    name: str
    values: pl.Series

    @property
    def is_text(self) -> bool:
        """Whether it contains text, plain or categorical."""
        return isinstance(self.values.dtype, pl.String | pl.Categorical | pl.Enum)

    def text(self) -> pl.Series:
        """The values as plain text, without surrounding whitespace."""
        return self.values.cast(pl.String).str.strip_chars()

    def refuse(self, bad: pl.Series, what: str) -> None:
        """Raise a DataError that names the first bad row, if there is one.

        Args:
            bad: (n_rows,) Boolean; null counts as good.
            what: the end of the sentence that begins with the value.
        """
        rows = bad.fill_null(value=False).arg_true()
        if len(rows):
            raise self.refused(int(rows[0]), f"{what} ({len(rows)} such rows)")

    def refused(self, row: int, what: str) -> DataError:
        """The error that names a row, from 0, and its value."""
        return DataError(f"{self.file}, row {row + 1}, column {self.name}: {str(self.values[row])[:80]} {what}")

    def refuse_type(self, expected: str) -> NoReturn:
        """Raise a DataError that names the type of the column."""
        raise DataError(f"{self.file}, column {self.name} is of the type {self.values.dtype}: expected {expected}")


def ids(column: Column, notes: list[str]) -> pl.Series:
    """Ids as Int64 or, beyond its range, UInt64; or as text.

    Whole floats are valid ids, because some libraries convert columns with missing values to floats.

    Raises:
        DataError: a null, a NaN, an empty text, a number that is not whole; or a type that cannot name anything.
    """
    values = column.values
    column.refuse(values.is_null(), "is null")
    if column.is_text:
        return _named(column, notes)
    if values.dtype.is_float() or values.dtype.is_decimal():
        whole = _whole(column)
        column.refuse(whole.is_null(), "is not a whole number, as an id must be")
        if values.dtype == pl.Float32:
            column.refuse(whole.abs() > MAX_WHOLE_FLOAT32, "is beyond what 32 bits can tell from its neighbours")
        return whole
    if not values.dtype.is_integer():
        column.refuse_type("whole numbers or text")
    narrow = values.cast(pl.Int64, strict=False)
    if not narrow.null_count():
        return narrow
    wide = values.cast(pl.UInt64, strict=False)
    column.refuse(wide.is_null(), "and the other ids do not go into 64 bits together")
    return wide


def _named(column: Column, notes: list[str]) -> pl.Series:
    text = column.values.cast(pl.String)
    column.refuse(column.text() == "", "is an empty text, which names nothing")
    n_missing = int(text.is_in(MISSING_AS_TEXT).sum())
    if n_missing:
        notes.append(
            f"{column.file}: {n_missing} rows have 'nan' or the like in {column.name}, and count as one of them"
        )
    return text


def on_one_form(columns: Sequence[Column], notes: list[str]) -> list[pl.Series]:
    """The ids of several tables in one type, so that equal ids compare equal.

    If one table has numbers, text is converted to numbers; so are texts that are all numbers if some end with ".0".

    Args:
        columns: as `ids` gives them.
        notes: see the module.

    Raises:
        DataError: one table has numbers and another has other text; or the ids do not fit into 64 bits.
    """
    texts = [column for column in columns if column.is_text]
    if not texts or (len(texts) == len(columns) and not _differ_by_fractions(texts)):
        return _of_one_type(columns, [column.values for column in columns])
    if len(texts) < len(columns):
        file = next(column.file for column in columns if not column.is_text)
        for column in texts:
            text = column.text()
            is_plain = text.str.contains(WHOLE_NUMERAL) & ~text.str.contains(r"^-?0[0-9]")
            column.refuse(~is_plain, f"is not a whole number, as the ids of {file} are: write the ids alike")
    notes.append(f"{columns[0].name} is text in {_files(texts)}, and read as whole numbers")
    return _of_one_type(columns, [_whole(column) if column.is_text else column.values for column in columns])


def _files(columns: Sequence[Column]) -> str:
    return " and ".join(dict.fromkeys(column.file for column in columns))


def _whole(column: Column) -> pl.Series:
    """Int64 of whole numbers, also of text such as "7", "007" or "7.0"; else null."""
    if column.is_text:
        return column.text().str.extract(WHOLE_NUMERAL, 1).cast(pl.Int64, strict=False)
    if column.values.dtype.is_integer():
        return column.values.cast(pl.Int64, strict=False)
    numbers = column.values.cast(pl.Float64)
    is_whole = numbers.is_finite() & (numbers == numbers.floor()) & (numbers.abs() <= MAX_WHOLE_FLOAT)
    return pl.select(pl.when(is_whole).then(numbers)).to_series().cast(pl.Int64)


def _differ_by_fractions(texts: Sequence[Column]) -> bool:
    """Whether all texts are whole numbers, and some are written with a fraction of zero."""
    every = pl.concat([column.text().unique() for column in texts])
    return bool(every.str.contains(WHOLE_NUMERAL).all() and every.str.contains(".", literal=True).any())


def _of_one_type(columns: Sequence[Column], values: Sequence[pl.Series]) -> list[pl.Series]:
    types = {one.dtype for one in values}
    if len(types) == 1:
        return list(values)
    # polars would combine Int64 and UInt64 into Int128, which few readers of Parquet support.
    for column, one in zip(columns, values, strict=True):
        column.refuse(
            (one < 0) if one.dtype == pl.Int64 else one.is_null(), "and the other ids do not go into 64 bits together"
        )
    return [one.cast(pl.UInt64) for one in values]


def matched_ids(column: Column, known: pl.Series) -> pl.Series:
    """The ids of an item table in the type of the rated ids; null without a match.

    A number matches text that spells it, leading zeros included.

    Raises:
        DataError: none of the ids can match a rated id; or the type is no type of an id.
    """
    if not column.is_text and not column.values.dtype.is_numeric():
        column.refuse_type(f"ids like those of the ratings, {known.dtype}")
    if column.is_text and known.dtype == pl.String:
        text = column.values.cast(pl.String)
        return text if text.is_in(known.implode()).any() else _as_rated(_whole(column), known)
    numbers = _whole(column)
    if numbers.null_count() == len(numbers) > 0:
        raise DataError(
            f"{column.file}: its item_id is {column.values.dtype}, that of the ratings {known.dtype}: they do not match"
        )
    return _as_rated(numbers, known) if known.dtype == pl.String else numbers.cast(known.dtype, strict=False)


def _as_rated(numbers: pl.Series, known: pl.Series) -> pl.Series:
    """The rated text ids that spell the given numbers; null without a match."""
    spelled = pl.DataFrame({"known": known, "number": _whole(Column(file="", name="item_id", values=known))})
    one_each = spelled.drop_nulls().unique("number", keep="first", maintain_order=True)
    wanted = pl.DataFrame({"number": numbers})
    return wanted.join(one_each, on="number", how="left", maintain_order="left")["known"]


def stars(column: Column) -> pl.Series:
    """Ratings as Float32, from half a star to five.

    Raises:
        DataError: a null, a text that is no number, a number out of range; or a type that is no number.
    """
    if not column.is_text and not column.values.dtype.is_numeric():
        column.refuse_type("stars")
    numbers = (column.text() if column.is_text else column.values).cast(pl.Float32, strict=False)
    column.refuse(numbers.is_null(), "is not a number")
    least, most = RATING_STEPS[0], RATING_STEPS[-1]
    column.refuse(
        ~numbers.is_between(least, most),
        f"is not between {least} and {most} stars: rescale other marks, and write {most:g} for a play or a click",
    )
    return numbers


def years(column: Column) -> pl.Series:
    """Years of release as Int32, from numbers, dates, or text of either; null where empty.

    Raises:
        DataError: a value that is no year from 1870 to 2100; or another type.
    """
    values = column.values
    if values.dtype in (pl.Date, pl.Datetime):
        told = values.dt.year().cast(pl.Float64)
    elif column.is_text:
        told = _written_years(column)
    elif values.dtype.is_numeric() or values.dtype == pl.Null:
        told = values.cast(pl.Float64).fill_nan(None)
    else:
        column.refuse_type("a year or a date")
    is_year = told.is_between(*YEARS) & (told == told.floor())
    column.refuse(~is_year, f"is not a year from {YEARS[0]} to {YEARS[1]}: leave a year that is unknown empty")
    return told.cast(pl.Int32)


def _written_years(column: Column) -> pl.Series:
    """Float64: the year of each text; NaN if it is no year, null if it is empty."""
    text = column.text()
    read = {one: _written_year(one, column.name) for one in text.drop_nulls().unique() if one}
    return text.replace_strict(read, default=None, return_dtype=pl.Float64)


def _written_year(text: str, name: str) -> float:
    try:
        return float(year(text[:4] if is_moment(text) else text.removesuffix(".0"), name))
    except BadRow:
        return float("nan")


@dataclass(frozen=True, kw_only=True)
class Times:
    """The time of each row."""

    values: pl.Series  # Int64: seconds since 1970 UTC, or steps
    are_steps: bool = False  # small numbers that define an order but no durations


def times(column: Column, notes: list[str]) -> Times | None:
    """The time of each row; None if the column defines no order: it is empty, or contains a single small number.

    The median determines the unit of the whole table, because single rows may be wrong. Times without a zone are UTC.

    Args:
        column: numbers of a unit in UNITS, dates and times, or a text of either.
        notes: see the module.

    Raises:
        DataError: some rows have a time and others none; an invalid time, or one outside 1970 to 2100; or an unknown
            type or unit.
    """
    is_fractional = column.values.dtype.is_float() or column.values.dtype.is_decimal()
    values = column.values.cast(pl.Float64).fill_nan(None) if is_fractional else column.values
    if values.null_count() == len(values):
        return None
    column.refuse(values.is_null(), "is not a number or a time, which other rows have")
    if values.dtype in (pl.Date, pl.Datetime):
        return _of_calendar(column, values.dt.epoch("s"))
    if column.is_text:
        text = column.text()
        if not text.str.contains(NUMERAL).all():
            return _of_calendar(column, _written_moments(column, text))
        values = text.cast(pl.Float64)
    elif not values.dtype.is_numeric():
        column.refuse_type("seconds since 1970 UTC, or dates with times")
    column.refuse(values.cast(pl.Float64).is_infinite(), "is not a time")
    if column.values.dtype == pl.Float32 and values.max() >= MAX_WHOLE_FLOAT32:  # type: ignore[operator]  # a column of numbers
        notes.append(f"{column.file}: {column.name} has 32 bits, too few for seconds: neighbours fall together")
    return _counted(column, values, notes)


def _of_calendar(column: Column, seconds: pl.Series) -> Times:
    column.refuse(~seconds.is_between(0, LATEST_TIMESTAMP), "is not from 1970 to 2100")
    if seconds.median() < STEPS_BELOW:  # type: ignore[operator]  # a column of integers
        column.refuse(seconds < STEPS_BELOW, "is before 1980, as most rows are: was a number read in another unit?")
    return Times(values=seconds)


def _written_moments(column: Column, text: pl.Series) -> pl.Series:
    """Seconds of texts: plain ones together, others one by one, so that an error can name its reason."""
    plain = pl.DataFrame({"text": text}).select(plain_moments(pl.col("text")))["text"]
    rows = plain.is_null().arg_true()
    read = []
    for row in rows:
        try:
            read.append(moment(text[row], column.name))
        except BadRow as bad:
            raise column.refused(row, f"is no time: {bad.reason}") from bad
    return plain.scatter(rows, read) if len(rows) else plain


def _counted(column: Column, values: pl.Series, notes: list[str]) -> Times | None:
    """Times from numbers, in the unit that their median determines."""
    median = float(values.median())  # type: ignore[arg-type]  # a column of numbers, not empty
    unit = next((unit for unit, per in UNITS.items() if median <= LATEST_TIMESTAMP * per), None)
    if unit == "seconds" and median < STEPS_BELOW:
        return _steps(column, values, median, notes)
    if unit is None or (unit != "seconds" and median < EARLIEST_TIMESTAMP * UNITS[unit]):
        raise column.refused(0, f"is in none of the known units: {', '.join(UNITS)} since 1970 UTC")
    per = UNITS[unit]
    is_near = (values >= median / FAR) & (values <= LATEST_TIMESTAMP * per)
    usual = day_of(int(median // per))
    column.refuse(~is_near, f"is no time in {unit} before 2100, as the others are, half of them after {usual}")
    if unit != "seconds":
        notes.append(f"{column.file}: {column.name} is in {unit}")
    return Times(values=(values // per).cast(pl.Int64))


def _steps(column: Column, values: pl.Series, median: float, notes: list[str]) -> Times | None:
    if values.n_unique() == 1:
        return None
    is_whole = values.cast(pl.Float64) == values.cast(pl.Float64).floor()
    column.refuse(~is_whole, "is not in seconds since 1970 UTC, nor a whole number of steps")
    steps = values.cast(pl.Int64)
    if steps.cast(pl.String).str.contains(DAY_AS_NUMBER).all():
        column.refuse(steps >= 0, "is a day written as a number: make it a date, or seconds since 1970 UTC")
    column.refuse(~steps.is_between(0, STEPS_BELOW - 1), f"is far from the other rows, whose median is {median:g}")
    notes.append(
        f"{column.file}: {column.name} counts steps (median {median:g}), not seconds: their order alone is used"
    )
    return Times(values=steps, are_steps=True)
