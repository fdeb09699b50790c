"""Automatic rebuilds, asset by asset: Dagster's declarative automation. Off until its sensor is switched on.

`AutomationCondition.eager()` would rebuild everything below a rebuilt asset, even if its bytes are the same, and would
not notice changed code. The condition here follows the project's definition of stale: changed code, or changed bytes
of a parent.

It reacts to changes after it is switched on. The job `refresh` handles what was out of date before; it also notices
damage, a changed data set and new days, and stops where a rebuilt asset comes out the same. This condition stops only
at the head of the log: everything else below a change goes into one run, so that no asset is made from a mixture of old
and new parents.
"""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from dagster import AutomationCondition as When

from recsys_assets.runs import LAUNCHED_BY_TAG

LOG = dg.AssetSelection.assets("interactions")
"""Partitioned by day and never complete: days without a log are not made. The head of the log represents it."""

HEAD = dg.AssetSelection.assets("interaction_log_head")
"""Rebuilt after every ingested day, mostly to the same bytes: assets below wait until its bytes are known."""

Condition = When[Any]  # Dagster types a condition by the keys that it can judge, and cannot mix two such types

AUTOMATION_SENSOR = dg.AutomationConditionSensorDefinition(
    "rerun_when_stale",
    target=dg.AssetSelection.all() - LOG,
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=60,
    description=(
        "Rebuilds assets as soon as their code or a parent's content has changed, and everything below them. Switch it "
        "on and launch `refresh` once, for what is out of date already."
    ),
    run_tags={LAUNCHED_BY_TAG: "sensor rerun_when_stale"},
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
