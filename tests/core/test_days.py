"""A day is a text that sorts, counts and starts as the calendar does."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.days import DAY_S, day_before, day_of, days_from, second_of, start_of, stretches
from recsys_core.errors import DataError

DAYS = st.dates(min_value=date(1970, 1, 1)).map(date.isoformat)


def test_a_day_starts_at_midnight_utc() -> None:
    assert start_of("2017-07-14") == 1_500_000_000 - 9_600


def test_a_moment_with_a_zone_is_converted_and_one_without_is_utc() -> None:
    """To put UTC in the place of its zone would move it by hours."""
    noon = datetime(2016, 1, 17, 12, tzinfo=UTC)
    second = int(noon.timestamp())
    assert second_of(noon) == second_of(noon.replace(tzinfo=None)) == second
    assert second_of(datetime(2016, 1, 17, 12, tzinfo=timezone(timedelta(hours=2)))) == second - 7_200
    assert second_of(noon + timedelta(microseconds=999_999)) == second
    assert second_of(datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)) == -1


@given(DAYS, st.integers(0, DAY_S - 1))
def test_every_second_of_a_day_is_of_that_day(day: str, second: int) -> None:
    assert day_of(start_of(day) + second) == day


@pytest.mark.parametrize("text", ["2017-02-30", "2017-7-14", "20170714", "2017-07-14T00:00:00", "yesterday", "", " "])
def test_what_is_no_day_is_named_with_the_way_to_write_one(text: str) -> None:
    with pytest.raises(DataError, match=f"^'{text}' is not a day: write it as YYYY-MM-DD$"):
        start_of(text)


@pytest.mark.parametrize(("day", "before"), [("2017-01-01", "2016-12-31"), ("2016-03-01", "2016-02-29")])
def test_the_day_before_may_lie_in_another_month(day: str, before: str) -> None:
    assert day_before(day) == before
    assert days_from(before, day) == [before, day]


def test_there_are_no_days_from_a_later_to_an_earlier_one() -> None:
    assert days_from("2017-03-01", "2017-02-28") == []


@given(st.sets(st.integers(0, 60)))
def test_stretches_are_the_fewest_that_hold_the_days_and_no_others(numbers: set[int]) -> None:
    days = [(date(2016, 1, 31) + timedelta(days=number)).isoformat() for number in sorted(numbers)]
    found = stretches(days)
    assert [day for first, last in found for day in days_from(first, last)] == days
    assert len(found) == sum(number - 1 not in numbers for number in numbers)
