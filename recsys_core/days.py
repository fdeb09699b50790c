"""Calendar days in UTC, written YYYY-MM-DD, so that they sort as text."""

import datetime
import math
import re
from collections.abc import Sequence

from recsys_core.errors import DataError

DAY_S = 86_400
"""Seconds of a day."""

Stretch = tuple[str, str]
"""First and last of consecutive days."""

_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ONE = datetime.timedelta(days=1)


def start_of(day: str) -> int:
    """The first second of a day, since 1970.

    Raises:
        DataError: `day` is not written as YYYY-MM-DD.
    """
    try:
        if not _WRITTEN.fullmatch(day):
            raise ValueError
        return second_of(datetime.datetime.fromisoformat(day))
    except ValueError as error:
        raise DataError(f"{day!r} is not a day: write it as YYYY-MM-DD") from error


def second_of(moment: datetime.datetime) -> int:
    """The second since 1970 of a moment, rounded down. A moment without a time zone is taken as UTC.

    >>> second_of(datetime.datetime.fromisoformat("1970-01-01T02:00:01+02:00"))
    1
    """
    # On a moment with a time zone, `replace(tzinfo=...)` would shift it by the offset.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return math.floor(aware.timestamp())


def day_of(second: int) -> str:
    """The day of a second since 1970.

    >>> day_of(86_399), day_of(86_400)
    ('1970-01-01', '1970-01-02')
    """
    return datetime.datetime.fromtimestamp(second, datetime.UTC).date().isoformat()


def moment(second: int) -> str:
    """A second since 1970 as ISO time, UTC.

    >>> moment(0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.datetime.fromtimestamp(second, datetime.UTC).isoformat()


def day_before(day: str) -> str:
    """The day before.

    >>> day_before("2017-03-01")
    '2017-02-28'
    """
    return (datetime.date.fromisoformat(day) - _ONE).isoformat()


def days_from(first: str, last: str) -> list[str]:
    """Every day from the first to the last, both included; empty if the last is before the first.

    >>> days_from("2017-02-28", "2017-03-01")
    ['2017-02-28', '2017-03-01']
    """
    start, end = datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
    return [(start + number * _ONE).isoformat() for number in range((end - start).days + 1)]


def stretches(days: Sequence[str]) -> list[Stretch]:
    """Sorted days as the fewest stretches without a gap.

    >>> stretches(["2017-02-27", "2017-02-28", "2017-03-01", "2017-03-05"])
    [('2017-02-27', '2017-03-01'), ('2017-03-05', '2017-03-05')]
    """
    found: list[Stretch] = []
    for day in days:
        follows = found and found[-1][1] == day_before(day)
        found[-1:] = [(found[-1][0], day)] if follows else [*found[-1:], (day, day)]
    return found
