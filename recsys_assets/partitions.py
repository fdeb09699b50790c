"""How newly logged interactions are cut: by the day on which they arrived, UTC."""

import dagster as dg

from recsys_core.feedback.records import FIRST_DAY

arrival_days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC")
"""One partition per day that is over; a day still running is not one yet, because its log may still grow. The planner
waits for a while longer (`grace_s`)."""
