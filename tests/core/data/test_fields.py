"""One field is read exactly, or refused with the reason."""

import polars as pl
import pytest

from recsys_core.data.fields import BadRow, id_number, moment, plain_moments, stars, timestamp, whole_number, year
from recsys_core.data.schemas import EARLIEST_TIMESTAMP, MAX_ID, RATING_STEPS


@pytest.mark.parametrize("text", ["0", "7", "2147483648", "9223372036854775807"])
def test_a_whole_number_keeps_its_value(text: str) -> None:
    assert whole_number(text, "movieId") == int(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("3.0", "not a whole number"),
        ("3.7", "not a whole number"),
        ("five", "not a whole number"),
        ("1.5e9", "not a whole number"),
        (" 3", "not a whole number"),
        ("1_0", "not a whole number"),
        ("+3", "not a whole number"),
        ("\u0663", "not a whole number"),
        ("-1", "negative"),
        ("007", "leading zeros"),
        ("9223372036854775808", "beyond int64"),
        ("9" * 5000, "beyond int64"),
    ],
)
def test_what_is_no_plain_whole_number_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        whole_number(text, "movieId")
    assert (caught.value.column, caught.value.reason, caught.value.value) == ("movieId", reason, text)


def test_an_id_that_float64_cannot_hold_exactly_is_refused() -> None:
    assert id_number(str(MAX_ID), "movieId") == MAX_ID
    assert float(MAX_ID + 1) == float(MAX_ID + 2)
    with pytest.raises(BadRow) as caught:
        id_number(str(MAX_ID + 1), "movieId")
    assert (caught.value.column, caught.value.reason) == ("movieId", "id beyond 2**53 - 1")


@pytest.mark.parametrize("step", RATING_STEPS)
def test_every_step_of_the_grid_is_a_rating(step: float) -> None:
    assert stars(f"{step:g}", "rating") == stars(f"{step:.2f}", "rating") == step


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("NaN", "not a finite number"),
        ("inf", "not a finite number"),
        ("-Infinity", "not a finite number"),
        ("five", "not a number"),
        ("4e0", "not a number"),
        ("3,5", "not a number"),
        ("11", "outside 0.5 to 5"),
        ("-1", "outside 0.5 to 5"),
        ("0", "outside 0.5 to 5"),
        ("9" * 400, "outside 0.5 to 5"),
        ("3.7", "off the half-star grid"),
    ],
)
def test_what_is_no_rating_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        stars(text, "rating")
    assert caught.value.reason == reason


def test_the_window_of_time_includes_both_its_ends() -> None:
    latest = 1_500_000_000
    assert timestamp(str(EARLIEST_TIMESTAMP), "timestamp", latest) == EARLIEST_TIMESTAMP
    assert timestamp(str(latest), "timestamp", latest) == latest


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0", "before MovieLens' first rating"),
        (str(EARLIEST_TIMESTAMP - 1), "before MovieLens' first rating"),
        ("-5", "negative"),
        ("1500000001", "from the future"),
        ("1260759144000", "milliseconds, not seconds"),
        ("2009-12-14T02:52:24", "not a whole number"),
    ],
)
def test_what_is_no_time_of_a_rating_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        timestamp(text, "timestamp", 1_500_000_000)
    assert caught.value.reason == reason


MOMENTS = {
    "1997-09-22 22:02:38": 874_965_758,
    "1997-09-22T22:02:38": 874_965_758,
    "1997-09-22T22:02:38Z": 874_965_758,
    "1997-09-22 22:02:38 UTC": 874_965_758,
    "1997-09-23T00:02:38+02:00": 874_965_758,
    "1997-09-22T17:02:38.999-0500": 874_965_758,
    "1997-09-22 22:02": 874_965_720,
    "1997-09-22": 874_886_400,
    "1969-12-31 23:59:59.5": -1,
}


@pytest.mark.parametrize("text", MOMENTS)
def test_a_written_moment_is_its_second_in_utc(text: str) -> None:
    assert moment(text, "timestamp") == MOMENTS[text]
    (plain,) = pl.select(plain_moments(pl.lit(text))).to_series()
    assert plain in (None, MOMENTS[text])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("874965758", "not a date and time like 1997-09-22 22:02:38"),
        ("22/09/1997", "not a date and time like 1997-09-22 22:02:38"),
        ("19970922", "not a date and time like 1997-09-22 22:02:38"),
        ("1997-02-30", "not in the calendar"),
        ("1997-09-22 25:00:00", "not in the calendar"),
        ("0000-01-01", "not in the calendar"),
    ],
)
def test_what_is_no_moment_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        moment(text, "timestamp")
    assert caught.value.reason == reason
    assert pl.select(plain_moments(pl.lit(text))).to_series().to_list() == [None]


@pytest.mark.parametrize("text", ["1869", "2101", "99999", "-1", "95", "1995.0", "soon", ""])
def test_what_is_no_year_of_release_is_refused(text: str) -> None:
    assert year("1870", "year") == 1870
    with pytest.raises(BadRow):
        year(text, "year")
