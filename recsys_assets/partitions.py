"""How newly logged interactions are cut: by the day on which they arrived, UTC."""

import dagster as dg

FIRST_DAY = "2016-10-17"
"""The day after the shipped data set ends: nothing can have been logged before."""

arrival_days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC")
"""One partition per day that is over; a day still running is not one yet, because its log may still grow. The planner
waits for a while longer (`grace_s`)."""
