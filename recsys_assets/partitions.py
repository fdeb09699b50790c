"""How newly logged interactions are cut: by the day on which they arrived, UTC."""

import datetime
from collections.abc import Sequence

import dagster as dg

Stretch = tuple[str, str]
"""First and last of days in a row."""

FIRST_DAY = "2016-09-17"
"""The month before the shipped data set ends, which `recsys log demo` can play as a log, is the earliest of any log."""

ONE_DAY = datetime.timedelta(days=1)

arrival_days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC")
"""One partition per day that is over; a day still running is not one yet, because its log may still grow. The planner
waits for a while longer (`grace_s`)."""


def stretches(days: Sequence[str]) -> list[Stretch]:
    """Days, in order, as the fewest stretches without a gap: each is one run.

    >>> stretches(["2017-02-27", "2017-02-28", "2017-03-01", "2017-03-05"])
    [('2017-02-27', '2017-03-01'), ('2017-03-05', '2017-03-05')]
    """
    found: list[Stretch] = []
    for day in days:
        follows = found and datetime.date.fromisoformat(day) - datetime.date.fromisoformat(found[-1][1]) == ONE_DAY
        found[-1:] = [(found[-1][0], day)] if follows else [*found[-1:], (day, day)]
    return found
