"""Assemble the definitions that Dagster loads."""

import dagster as dg

from recsys_assets import checks
from recsys_assets.assets import data, evaluation, features, feedback, monitoring, ranking, retrieval
from recsys_assets.automation.jobs import full_refresh, ingest_interactions, plan, refresh, stage_jobs
from recsys_assets.automation.sensors import (
    AUTOMATION_SENSOR,
    close_yesterday,
    new_feedback_arrived,
    refresh_every_night,
    with_conditions,
)
from recsys_assets.resources import LakeResource, lake_root, settings_file
from recsys_assets.runs import console
from recsys_assets.settings import refuse_unknown_sections

STAGE_MODULES = (data, feedback, features, retrieval, ranking, evaluation, monitoring)


def declared_assets() -> list[dg.AssetsDefinition]:
    """The assets as their modules declare them."""
    found = dg.load_assets_from_modules(STAGE_MODULES)
    return [asset for asset in found if isinstance(asset, dg.AssetsDefinition)]


def build_definitions(lake: LakeResource) -> dg.Definitions:
    """All definitions that Dagster loads, for a given lake."""
    refuse_unknown_sections(settings_file())
    return dg.Definitions(
        assets=with_conditions(declared_assets()),
        asset_checks=dg.load_asset_checks_from_modules(checks.MODULES),
        jobs=[
            refresh,
            plan,
            full_refresh,
            ingest_interactions,
            *stage_jobs(),
        ],
        sensors=[AUTOMATION_SENSOR, new_feedback_arrived],
        schedules=[close_yesterday, refresh_every_night],
        resources={"lake": lake},
        loggers={"console": console},
        # In one process: most steps are faster than starting a new process, which imports torch.
        executor=dg.in_process_executor,
    )


defs = build_definitions(LakeResource(root=str(lake_root())))
