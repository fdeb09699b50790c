"""Logged interactions are partitioned by the day on which they arrived, UTC."""

import dagster as dg

from recsys_core.feedback.records import FIRST_DAY

arrival_days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC")
"""One partition per day that is over; the current day has none, because its log may still grow. The planner also waits
for a grace period (`grace_s`)."""
