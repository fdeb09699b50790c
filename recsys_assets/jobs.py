"""What one asks for: jobs over the assets, under the names that one would look for."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run config for runs that a refresh starts: Dagster's own lines stay in its event log, and ours are shown."""

console = dg.LoggerDefinition(
    dg.colored_console_logger.logger_fn,
    description="Says nothing in the terminal: every line is on the run's page, and ours are shown by `recsys`.",
    config_schema={
        "log_level": dg.Field(str, is_required=False, default_value="CRITICAL"),
        "name": dg.Field(str, is_required=False, default_value="dagster"),
    },
)
"""The logger of all jobs; jobs of ops must name it themselves. Dagster's own prints a line for each event."""

SCOPE_TAG = "recsys/scope"
"""How much of the graph a run covers; the runs page of the UI filters by it."""

LAUNCHED_BY_TAG = "recsys/launched_by"

DEFINITIONS = "recsys_assets.definitions"
"""The module of the definitions, and the name of the code location in the UI."""

SHOWN_WITH_JOB = {".dagster/repository": f"__repository__@{DEFINITIONS}"}
"""Tag of runs within a process of ours, by which the UI lists them on their job's page. Dagster sets it only on runs
that it launches itself; it exports no name for it."""

LAUNCHED = {LAUNCHED_BY_TAG: "recsys refresh"}
"""Tags of the runs that the command line starts."""

Started = Callable[[str, Sequence[str]], None]
"""Told the id of each run before it starts, and the assets that it makes or checks."""


def nobody(_run_id: str, _assets: Sequence[str]) -> None:
    """Nobody is told."""


STAGE_JOBS = {
    "features_only": "features",
    "retrieval_only": "retrieval",
    "ranking_only": "ranking",
    "evaluation_only": "evaluation",
    "monitoring": "monitoring",
}
"""Job -> the stage that it builds from whatever lies above, up to date or not."""

full_refresh = dg.define_asset_job(
    "full_refresh",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("interactions"),
    description=(
        "Builds everything again on what has been ingested, from the data set to the reports, whether it is "
        "up to date or not. To build only what is out of date, launch `refresh`."
    ),
    tags={SCOPE_TAG: "full"},
)

ingest_interactions = dg.define_asset_job(
    "ingest_interactions",
    selection=dg.AssetSelection.assets("interactions"),
    description="The log of one or more days of arrival; choose the days as partitions.",
    tags={SCOPE_TAG: "ingest"},
)


def stage_jobs() -> list[Any]:  # Dagster's type of an unresolved job has no public name
    """A job for each stage of STAGE_JOBS."""
    return [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.groups(stage),
            description=(
                f"Builds the assets of the stage {stage} again, from what lies above them as it is. For trying "
                "something out; `refresh` also sees to what is above and below."
            ),
            tags={SCOPE_TAG: stage},
        )
        for name, stage in STAGE_JOBS.items()
    ]
