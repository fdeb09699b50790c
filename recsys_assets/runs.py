"""What all runs share: their tags, their logger, and their run config."""

from collections.abc import Callable, Sequence

import dagster as dg

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run config for the runs of a refresh: Dagster's log lines go to its event log only, and ours to the terminal."""

console = dg.LoggerDefinition(
    dg.colored_console_logger.logger_fn,
    description="Prints nothing: every line is on the run's page, and `recsys` shows its own progress.",
    config_schema={
        "log_level": dg.Field(str, is_required=False, default_value="CRITICAL"),
        "name": dg.Field(str, is_required=False, default_value="dagster"),
    },
)
"""The logger of all jobs. Jobs of ops must name it themselves. Dagster's default prints a line for each event."""

SCOPE_TAG = "recsys/scope"
"""How much of the graph a run covers; the runs page of the UI filters by it."""

LAUNCHED_BY_TAG = "recsys/launched_by"
"""The command, job, sensor or schedule that started a run."""

DEFINITIONS = "recsys_assets.definitions"
"""The module of the definitions, and the name of the code location in the UI."""

SHOWN_WITH_JOB = {".dagster/repository": f"__repository__@{DEFINITIONS}"}
"""Tag that makes the UI list a run on its job's page. Dagster sets it only on runs that it launches itself, so runs
within our own process need it; Dagster exports no name for it."""

OnRunStart = Callable[[str, Sequence[str]], None]
"""Called before each run starts, with the run's id and the assets that it makes or checks."""


def no_callback(_run_id: str, _assets: Sequence[str]) -> None:
    """The default `OnRunStart`: it does nothing."""
