"""Rebuild exactly what is out of date, in waves, until nothing is.

After each wave the plan is made again: an input that was rebuilt to the same bytes leaves everything below it alone.
"""

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError  # Dagster raises it, but exports no name for it

from recsys_assets.jobs import LAUNCHED, QUIET
from recsys_assets.planning import make_plan
from recsys_assets.proving import prove, refuse_unproven
from recsys_assets.resources import LakeResource
from recsys_core.lake.staleness import Plan, next_wave


def refresh(definitions: dg.Definitions, lake: LakeResource, instance: dg.DagsterInstance) -> list[str]:
    """Rebuild what is stale; returns the names of what was built, in order.

    Raises:
        RecsysError: an asset failed with a problem that the user can mend, or a blocking check did not pass.
        dg.DagsterError: Dagster itself failed.
    """
    lake.store.sweep()
    built: list[str] = []
    plan = make_plan(lake, deep=True)  # whoever was told that an artifact is damaged is told to come here
    while True:
        prove(definitions, instance, fresh(plan))
        wave = next_wave(plan)
        if not wave:
            return built
        _refuse_repeats(wave, built, plan)
        for assets, day in _runs(wave):
            _execute(definitions, instance, assets, day)
        built += wave
        plan = make_plan(lake)


def fresh(plan: Plan) -> list[str]:
    """What is up to date."""
    return [name for name, verdict in plan.items() if not verdict.is_stale]


def _runs(wave: list[str]) -> list[tuple[list[str], str | None]]:
    """(assets, day) of each Dagster run: a run per day of interactions, then one for all else."""
    days = [([name], day) for name, day in (one.split("/") for one in wave if "/" in one)]
    whole = [one for one in wave if "/" not in one]
    return [*days, *([(whole, None)] if whole else [])]


def _execute(definitions: dg.Definitions, instance: dg.DagsterInstance, assets: list[str], day: str | None) -> None:
    job = definitions.resolve_job_def("full_refresh" if day is None else "ingest_interactions")
    try:
        job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in assets],
            partition_key=day,
            run_config=QUIET,
            tags=LAUNCHED,
        )
    except DagsterAssetCheckFailedError:
        refuse_unproven(definitions, instance, assets)
        raise
    except dg.DagsterExecutionInterruptedError as interrupted:
        raise KeyboardInterrupt from interrupted


def _refuse_repeats(wave: list[str], built: list[str], plan: Plan) -> None:
    again = [name for name in wave if name in built]
    if again:
        why = "; ".join(f"{name}: {', '.join(plan[name].reasons)}" for name in again)
        raise dg.DagsterInvariantViolationError(f"rebuilt and still out of date: {why}")
