"""What starts runs by itself: sensors, schedules, and automation conditions. All are off until switched on in the UI.

Sensors and schedules start jobs, on new days of the log or by the clock. Automation conditions (Dagster's declarative
automation) rebuild asset by asset, when the sensor `rerun_when_stale` is on.

Why conditions of our own: `AutomationCondition.eager()` rebuilds everything below a rebuilt asset, even if its bytes
are the same, and does not notice changed code. The condition here follows the project's definition of stale: changed
code, or changed bytes of a parent. It reacts to changes after it is switched on; the job `refresh` handles what was out
of date before. `refresh` also notices damage, a changed data set and new days, and stops where a rebuilt asset comes
out the same. The condition stops only at the head of the log: everything else below a change goes into one run, so that
no asset is made from a mixture of old and new parents.
"""

import datetime
import json
from collections.abc import Iterable
from typing import Any

import dagster as dg
from dagster import AutomationCondition as When

from recsys_assets.automation.jobs import ingest_interactions, refresh
from recsys_assets.refresh.planner import days_out_of_date
from recsys_assets.resources import LakeResource
from recsys_assets.runs import LAUNCHED_BY_TAG

MAX_DAYS = 10
"""Days requested at one tick; each is a run. After a long pause, the remaining days follow at the next ticks."""

LOG = dg.AssetSelection.assets("interactions")
"""Partitioned by day and never complete: days without a log are not made. The head of the log represents it."""

HEAD = dg.AssetSelection.assets("interaction_log_head")
"""Rebuilt after every ingested day, often to the same bytes: the assets below wait until its bytes are known."""

Condition = When[Any]  # Dagster types a condition by the keys that it can judge, and cannot mix two such types

AUTOMATION_SENSOR = dg.AutomationConditionSensorDefinition(
    "rerun_when_stale",
    target=dg.AssetSelection.all() - LOG,
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=60,
    description=(
        "Rebuilds an asset when its code or the content of a parent has changed, and everything below it. After "
        "switching it on, launch `refresh` once, for what is already out of date."
    ),
    run_tags={LAUNCHED_BY_TAG: "sensor rerun_when_stale"},
)


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
    description="Brings everything up to date at 02:00 UTC, including new days of the log.",
)


def rerun_when_stale() -> Condition:
    """The asset's code or a parent's bytes changed since it was last made, and it can be rebuilt now."""
    changed: Condition = When.any_deps_match(When.data_version_changed()).ignore(LOG)
    return _once(changed | When.any_deps_match(When.will_be_requested()).ignore(LOG | HEAD))


def rerun_when_a_day_arrives() -> Condition:
    """For the head of the log: a day was ingested. Dagster can't tell whether a partition's content changed."""
    return _once(When.any_deps_updated())


def with_conditions(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The assets, each with the condition that fits its dependencies; partitioned assets get none."""

    def conditioned(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.partitions_def is not None:
            return spec
        reads_the_log = any(dep.asset_key == dg.AssetKey("interactions") for dep in spec.deps)
        return spec.replace_attributes(
            automation_condition=rerun_when_a_day_arrives() if reads_the_log else rerun_when_stale()
        )

    return list(dg.map_asset_specs(conditioned, assets))


def _once(changed: Condition) -> Condition:
    """Requested once after each change, when all parents exist, are idle, and passed their blocking checks."""
    wanted: Condition = When.newly_missing() | When.code_version_changed() | changed
    return (
        wanted.since_last_handled()
        & ~When.in_progress()
        & ~When.any_deps_missing().ignore(LOG)
        & ~When.any_deps_in_progress()
        & When.all_deps_blocking_checks_passed()
    )


def _read(cursor: str | None) -> dict[str, str]:
    """The content of a cursor; empty where it is damaged, since users can edit it. Days are then requested again."""
    try:
        held = json.loads(cursor or "{}")
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}
