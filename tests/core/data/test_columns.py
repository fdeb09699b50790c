"""A column of any type is read as what it means, or refused with its row."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.columns import STEPS_BELOW, Column, Times, ids, matched_ids, on_one_form, stars, times, years
from recsys_core.data.fields import moment
from recsys_core.data.schemas import LATEST_TIMESTAMP
from recsys_core.errors import DataError

SECONDS = [874_965_758, 874_965_700, 875_000_000, 890_000_000]


def column(values: list[object] | pl.Series, name: str = "timestamp", file: str = "a.parquet") -> Column:
    series = values if isinstance(values, pl.Series) else pl.Series(name, values, strict=False)
    return Column(file=file, name=name, values=series)


def read(values: list[object] | pl.Series) -> Times | None:
    return times(column(values), [])


def texts(seconds: list[int], form: str) -> list[str]:
    return [datetime.fromtimestamp(second, UTC).strftime(form) for second in seconds]


def naive(year: int) -> datetime:
    """The first second of a year, as a library writes it that knows no zones."""
    return datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None)


FORMS: dict[str, list[object] | pl.Series] = {
    "seconds": [*SECONDS],
    "unsigned": pl.Series(SECONDS, dtype=pl.UInt64),
    "milliseconds": [second * 1_000 + 7 for second in SECONDS],
    "microseconds": [second * 1_000_000 + 7 for second in SECONDS],
    "nanoseconds": [second * 1_000_000_000 + 7 for second in SECONDS],
    "fractions": [second + 0.25 for second in SECONDS],
    "decimals": pl.Series([f"{second}.25" for second in SECONDS]).cast(pl.Decimal(20, 2)),
    "numbers as text": [str(second) for second in SECONDS],
    "floats as text": [f"{second}.0" for second in SECONDS],
    "milliseconds as text": [f" {second}000 " for second in SECONDS],
    "date and time": texts(SECONDS, "%Y-%m-%d %H:%M:%S"),
    "with a T": texts(SECONDS, "%Y-%m-%dT%H:%M:%S"),
    "with a Z": texts(SECONDS, "%Y-%m-%dT%H:%M:%SZ"),
    "with a zone": texts(SECONDS, "%Y-%m-%d %H:%M:%S UTC"),
    "with fractions": texts(SECONDS, "%Y-%m-%dT%H:%M:%S.125+00:00"),
    "elsewhere": [datetime.fromtimestamp(one, timezone(timedelta(hours=2))).isoformat() for one in SECONDS],
    "categories": pl.Series(texts(SECONDS, "%Y-%m-%d %H:%M:%S"), dtype=pl.Categorical),
    "naive": [datetime.fromtimestamp(second, UTC).replace(tzinfo=None) for second in SECONDS],
    "aware": pl.Series([datetime.fromtimestamp(one, UTC) for one in SECONDS]).dt.convert_time_zone("Asia/Tokyo"),
}


@pytest.mark.parametrize("form", FORMS)
def test_times_come_in_many_forms_and_mean_the_same(form: str) -> None:
    found = read(FORMS[form])
    assert found is not None
    assert found.values.to_list() == SECONDS
    assert found.values.dtype == pl.Int64
    assert not found.are_steps


def test_a_date_is_its_first_second() -> None:
    for values in ([date(1997, 9, 22), date(1997, 9, 23)], ["1997-09-22", "1997-09-23"]):
        found = read([*values])
        assert found is not None
        assert found.values.to_list() == [874_886_400, 874_972_800]


@given(st.lists(st.integers(STEPS_BELOW, LATEST_TIMESTAMP), min_size=2, max_size=6))
def test_the_fast_way_and_the_slow_way_of_a_written_time_agree(seconds: list[int]) -> None:
    written = texts(seconds, "%Y-%m-%d %H:%M:%S")
    found = read([*written])
    assert found is not None
    assert found.values.to_list() == [moment(text, "timestamp") for text in written] == seconds


@pytest.mark.parametrize("values", [[None, None], [], [float("nan")] * 2, [0, 0, 0], [7, 7]])
def test_what_is_empty_or_one_small_number_tells_no_order(values: list[object]) -> None:
    assert read(pl.Series(values, dtype=pl.Float64 if values and values[0] != 0 else pl.Int64, strict=False)) is None


def test_one_real_time_is_a_time() -> None:
    found = read([SECONDS[0]] * 3)
    assert found is not None
    assert found.values.to_list() == [SECONDS[0]] * 3


def test_small_numbers_are_steps_and_that_is_said() -> None:
    notes: list[str] = []
    found = times(column([3, 1, 2, 40_000]), notes)
    assert found is not None
    assert found.are_steps
    assert found.values.to_list() == [3, 1, 2, 40_000]
    assert notes == ["a.parquet: timestamp counts steps (median 2.5), not seconds: their order alone is used"]


def test_another_unit_than_seconds_is_said() -> None:
    notes: list[str] = []
    times(column(FORMS["milliseconds"]), notes)
    assert notes == ["a.parquet: timestamp is in milliseconds"]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (0, "0 is no time in seconds before 2100, as the others are"),
        (-874_965_758, "-874965758 is no time in seconds"),
        (SECONDS[0] * 1_000, "874965758000 is no time in seconds"),
        (4_102_444_801, "4102444801 is no time in seconds"),
        (None, "None is not a number or a time, which other rows have"),
    ],
)
def test_a_row_that_is_far_from_the_others_is_named_whatever_is_the_largest(bad: object, sentence: str) -> None:
    with pytest.raises(DataError, match=rf"a\.parquet, row 3, column timestamp: {sentence}.*\(1 such rows\)"):
        read([*SECONDS[:2], bad, *SECONDS[2:]])


def test_a_row_in_seconds_among_milliseconds_is_named() -> None:
    with pytest.raises(DataError, match="row 5, column timestamp: 874965758 is no time in milliseconds"):
        read([*[one * 1_000 for one in SECONDS], SECONDS[0]])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([20_160_117, 20_160_118], "20160117 is a day written as a number"),
        (["20160117", "20160118"], "20160117 is a day written as a number"),
        ([20_160_117_120_000, 20_160_117_120_001], "is in none of the known units"),
        ([636_000_000_000_000_000, 636_000_000_000_000_009], "is in none of the known units"),
        ([42_387.5, 42_388.2], "42387.5 is not in seconds since 1970 UTC, nor a whole number of steps"),
        ([1, 2, 3, SECONDS[0]], "row 4, column timestamp: 874965758 is far from the other rows, whose median is 2.5"),
        ([-1, 2, 3], "-1 is far from the other rows"),
        (["1997-09-22 22:02:38", "soon"], "row 2, column timestamp: soon is no time: not a date and time like"),
        (["1997-09-22 22:02:38", "1997-02-30 00:00:00"], "1997-02-30 00:00:00 is no time: not in the calendar"),
        (["22/09/1997 22:02", "23/09/1997 22:02"], "22/09/1997 22:02 is no time"),
        (["", "1997-09-22"], "row 1, column timestamp:  is no time: empty"),
        ([float("inf"), 1e9], "inf is not a time"),
        ([naive(1969), naive(2016)], "1969-01-01 00:00:00 is not from 1970 to 2100"),
        (
            [naive(1970) + timedelta(seconds=1)] * 2,
            "is before 1980, as most rows are: was a number read in another unit",
        ),
    ],
)
def test_what_is_no_time_is_refused_with_row_and_value(values: list[object], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(values)


@pytest.mark.parametrize("values", [[timedelta(days=1)], [time(12)], [[1]], [True], [b"1997"], [{"at": 1}]])
def test_a_type_that_is_no_time_is_refused(values: list[object]) -> None:
    with pytest.raises(DataError, match=r"a\.parquet, column timestamp is of the type .*: expected seconds since 1970"):
        read(values)


def test_seconds_in_32_bits_are_told_to_be_coarse() -> None:
    notes: list[str] = []
    times(column(pl.Series(SECONDS, dtype=pl.Float32)), notes)
    assert notes == ["a.parquet: timestamp has 32 bits, too few for seconds: neighbours fall together"]


def read_ids(values: list[object] | pl.Series) -> pl.Series:
    return ids(column(values, "user_id"), [])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pl.Series([7, 1], dtype=pl.UInt8), [7, 1]),
        (pl.Series([7, 1], dtype=pl.UInt64), [7, 1]),
        ([7.0, 1.0], [7, 1]),
        (pl.Series(["7", "1"]).cast(pl.Decimal(10, 0)), [7, 1]),
        (["b", "a"], ["b", "a"]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ["b", "a"]),
        (pl.Series([2**63, 1], dtype=pl.UInt64), [2**63, 1]),
    ],
)
def test_ids_are_whole_numbers_or_text(values: list[object] | pl.Series, expected: list[object]) -> None:
    found = read_ids(values)
    assert found.to_list() == expected
    assert found.dtype in (pl.Int64, pl.UInt64, pl.String)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1.0, float("nan")], "row 2, column user_id: nan is not a whole number"),
        ([1.0, 3.7], "3.7 is not a whole number"),
        ([1.0, 1e16], r"1e\+?16 is not a whole number|is not a whole number"),
        (pl.Series([1.0, 2.0**24 + 2], dtype=pl.Float32), "is beyond what 32 bits can tell"),
        ([1, None], "row 2, column user_id: None is null"),
        (["a", " "], "row 2, column user_id:   is an empty text"),
        (pl.Series([1, 2**70], dtype=pl.Int128), "and the other ids do not go into 64 bits together"),
    ],
)
def test_what_names_nobody_is_refused(values: list[object] | pl.Series, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_ids(values)


@pytest.mark.parametrize("values", [[time(12)], [timedelta(1)], [[1]], [date(2016, 1, 1)], [True], [b"a"], [{"a": 1}]])
def test_a_type_that_names_nobody_is_refused(values: list[object]) -> None:
    with pytest.raises(DataError, match=r"column user_id is of the type .*: expected whole numbers or text"):
        read_ids(values)


def test_texts_that_stand_for_a_missing_id_are_counted() -> None:
    notes: list[str] = []
    ids(column(["a", "nan", "nan", "None"], "user_id"), notes)
    assert notes == ["a.parquet: 3 rows have 'nan' or the like in user_id, and count as one of them"]


def one_form(*tables: list[object] | pl.Series) -> list[pl.Series]:
    notes: list[str] = []
    named = [column(values, "user_id", f"{number}.parquet") for number, values in enumerate(tables)]
    return on_one_form([Column(file=one.file, name=one.name, values=ids(one, notes)) for one in named], notes)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1.0, 2.0], ["1", "2"]),
        ([1, 2], ["1.0", "2.0"]),
        (["1.0", "2.0"], ["1", "2"]),
        (["1", "2"], [1, 2]),
        (pl.Series([1, 2], dtype=pl.UInt64), [1, 2]),
        (pl.Series(["1", "2"], dtype=pl.Categorical), pl.Series([1, 2], dtype=pl.Int8)),
    ],
)
def test_one_id_in_two_spellings_is_one_id(first: list[object] | pl.Series, second: list[object] | pl.Series) -> None:
    found = one_form(first, second)
    assert [one.to_list() for one in found] == [[1, 2], [1, 2]]
    assert {one.dtype for one in found} == {pl.Int64()}


def test_texts_stay_what_they_are() -> None:
    assert [one.to_list() for one in one_form(["007", "u"], ["7", "u"])] == [["007", "u"], ["7", "u"]]
    assert [one.to_list() for one in one_form(["1", "2"], ["2"])] == [["1", "2"], ["2"]]


@pytest.mark.parametrize("odd", ["u7", "07", "7.5"])
def test_a_text_beside_numbers_that_is_none_is_named(odd: str) -> None:
    with pytest.raises(
        DataError, match=rf"1\.parquet, row 2, column user_id: {odd} is not a whole number, as the ids of 0"
    ):
        one_form([1, 2], ["1", odd])


def test_ids_that_need_more_than_64_bits_together_are_refused() -> None:
    large = pl.Series([2**63, 1], dtype=pl.UInt64)
    assert {one.dtype for one in one_form(large, [1])} == {pl.UInt64()}
    with pytest.raises(
        DataError, match=r"1\.parquet, row 1, column user_id: -1 and the other ids do not go into 64 bits"
    ):
        one_form(large, [-1])


@pytest.mark.parametrize(
    ("table", "known", "expected"),
    [
        ([30, 41], [30, 41], [30, 41]),
        ([30.0, 41.5], [30, 41], [30, None]),
        (["0030", "x"], [30, 41], [30, None]),
        (["0030", "41"], ["30", "41"], ["0030", "41"]),
        (["0030", "0041"], ["30", "41"], ["30", "41"]),
        (["30", "41"], ["0030", "0041"], ["0030", "0041"]),
        ([30, 41], ["030", "41"], ["030", "41"]),
        ([None, 41], [30, 41], [None, 41]),
    ],
)
def test_items_are_found_by_their_number_or_by_their_name(
    table: list[object], known: list[object], expected: list[object]
) -> None:
    assert matched_ids(column(table, "item_id"), pl.Series(known)).to_list() == expected


def test_items_of_another_kind_are_refused() -> None:
    with pytest.raises(DataError, match="its item_id is String, that of the ratings Int64: they do not match"):
        matched_ids(column(["tt0113277"], "item_id"), pl.Series([30]))
    with pytest.raises(DataError, match="column item_id is of the type"):
        matched_ids(column([[1]], "item_id"), pl.Series([30]))


def test_stars_may_be_of_any_type_of_number() -> None:
    for values in ([4, 5], [4.0, 5.0], ["4", " 5.0 "], pl.Series(["4", "5"]).cast(pl.Decimal(3, 1))):
        found = stars(column(values if isinstance(values, pl.Series) else [*values], "rating"))
        assert found.to_list() == [4.0, 5.0]
        assert found.dtype == pl.Float32


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([5.0, 13_883.0], "row 2, column rating: 13883.0 is not between 0.5 and 5.0 stars: rescale .* 5 for a play"),
        ([5.0, float("nan")], "nan is not between"),
        ([True, False], "column rating is of the type Boolean: expected stars"),
        ([timedelta(1)], "column rating is of the type Duration"),
        (["good"], "good is not a number"),
    ],
)
def test_what_are_no_stars_is_refused(values: list[object], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        stars(column(values, "rating"))


@pytest.mark.parametrize(
    "values",
    [
        [1995, None],
        [1995.0, float("nan")],
        ["1995", ""],
        ["1995.0", None],
        ["1995-12-15", None],
        [date(1995, 12, 15), None],
        [naive(1995), None],
    ],
)
def test_a_year_may_be_a_number_a_text_or_a_date(values: list[object]) -> None:
    found = years(column(values, "year"))
    assert found.to_list() == [1995, None]
    assert found.dtype == pl.Int32


@pytest.mark.parametrize("odd", [99_999, 0, 1869, 2101, 1995.5, "soon", "-1", date(1800, 1, 1)])
def test_what_is_no_year_is_named(odd: object) -> None:
    with pytest.raises(DataError, match=rf"a\.parquet, row 2, column year: {odd}.* is not a year from 1870 to 2100"):
        years(column([type(odd)(1999) if not isinstance(odd, date) else date(1999, 1, 1), odd], "year"))  # type: ignore[call-arg]


def test_a_column_of_nothing_has_no_years() -> None:
    assert years(column(pl.Series([None, None]), "year")).to_list() == [None, None]
    with pytest.raises(DataError, match="column year is of the type List"):
        years(column([[1995]], "year"))
