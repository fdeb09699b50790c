"""Sensors and schedules: they start runs on new log days or by the clock. All are off until switched on in the UI."""

import datetime
import json

import dagster as dg

from recsys_assets.automation.jobs import ingest_interactions, refresh
from recsys_assets.refresh.planner import days_out_of_date
from recsys_assets.resources import LakeResource
from recsys_assets.runs import LAUNCHED_BY_TAG

MAX_DAYS = 10
"""Days requested at one tick; each is a run. After a long pause, the remaining days follow at the next ticks."""


@dg.sensor(
    job=ingest_interactions,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Ingests every closed day of the log that is new, or whose log has changed since it was ingested.",
)
def new_feedback_arrived(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    """Requests each day once per version of its log.

    The cursor holds the days that were requested and are not done yet. A day that waits in the queue, or whose log
    cannot be read, is not requested again until its log or the code changes. Reset the cursor to try such days again.
    """
    waiting = days_out_of_date(lake)
    requested = {day: version for day, version in _read(context.cursor).items() if waiting.get(day) == version}
    new = dict([(day, version) for day, version in waiting.items() if requested.get(day) != version][:MAX_DAYS])
    cursor = json.dumps(requested | new)
    if not new:
        return dg.SensorResult(skip_reason=f"nothing new; requested and not done: {len(requested)} days", cursor=cursor)
    tags = {LAUNCHED_BY_TAG: "sensor new_feedback_arrived"}
    return dg.SensorResult([dg.RunRequest(partition_key=day, tags=tags) for day in new], cursor=cursor)


@dg.schedule(
    job=ingest_interactions,
    # An event gets its arrival time before it is written to disk; an hour after midnight, all of them are written.
    cron_schedule="15 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    tags={LAUNCHED_BY_TAG: "schedule close_yesterday"},
    description="Ingests yesterday's log (UTC) at 01:15; a day without one gives an empty table.",
)
def close_yesterday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The day before the scheduled time, also when Dagster runs the tick later than scheduled."""
    yesterday = context.scheduled_execution_time - datetime.timedelta(days=1)
    return dg.RunRequest(partition_key=yesterday.astimezone(datetime.UTC).date().isoformat())


refresh_every_night = dg.ScheduleDefinition(
    name="refresh_every_night",
    job=refresh,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    tags={LAUNCHED_BY_TAG: "schedule refresh_every_night"},
    description="Brings everything up to date at 02:00 UTC, new days of the log included.",
)


def _read(cursor: str | None) -> dict[str, str]:
    """The content of a cursor; empty where it is damaged, since users can edit it. Days are then requested again."""
    try:
        held = json.loads(cursor or "{}")
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}
