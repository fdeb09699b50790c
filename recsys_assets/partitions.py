"""How newly logged interactions are cut: by the day on which they arrived, UTC."""

import dagster as dg

FIRST_DAY = "2016-09-17"
"""The month before the shipped data set ends, which `recsys log demo` can play as a log, is the earliest of any log."""

arrival_days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC")
"""One partition per day that is over; a day still running is not one yet, because its log may still grow. The planner
waits for a while longer (`grace_s`)."""
