"""What starts runs by the clock or by news from outside. All of it is off until it is switched on in the UI."""

import datetime
import json

import dagster as dg

from recsys_assets.jobs import LAUNCHED_BY_TAG, ingest_interactions
from recsys_assets.planning import days_out_of_date
from recsys_assets.refresh_job import refresh
from recsys_assets.resources import LakeResource

MAX_DAYS = 10
"""Days asked for at one tick; each is a run. After a long pause the rest follows at the next ticks."""


def _read(cursor: str | None) -> dict[str, str]:
    """What a cursor holds; nothing where it is damaged, since users can edit it: then days are asked for again."""
    try:
        held = json.loads(cursor or "{}")
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


@dg.sensor(
    job=ingest_interactions,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Ingests every closed day of the log that is new, or whose log has changed since it was ingested.",
)
def new_feedback_arrived(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    """Asks for each day once per content of its log.

    The cursor holds what was asked for and is not done yet: a day that waits in the queue, or whose log cannot be read,
    is not asked for again until its log or the code changes. Reset the cursor to have such days tried again.
    """
    waiting = days_out_of_date(lake)
    asked = {day: version for day, version in _read(context.cursor).items() if waiting.get(day) == version}
    new = dict([(day, version) for day, version in waiting.items() if asked.get(day) != version][:MAX_DAYS])
    cursor = json.dumps(asked | new)
    if not new:
        return dg.SensorResult(skip_reason=f"nothing new; asked for and not done: {len(asked)} days", cursor=cursor)
    tags = {LAUNCHED_BY_TAG: "sensor new_feedback_arrived"}
    return dg.SensorResult([dg.RunRequest(partition_key=day, tags=tags) for day in new], cursor=cursor)


@dg.schedule(
    job=ingest_interactions,
    # An event is stamped with its arrival before it is on the disk; an hour after midnight none is under way.
    cron_schedule="15 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    tags={LAUNCHED_BY_TAG: "schedule close_yesterday"},
    description="Ingests yesterday's log (UTC) at 01:15; a day without one gives an empty table.",
)
def close_yesterday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The day before that of the tick, also where the tick is caught up on later."""
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
