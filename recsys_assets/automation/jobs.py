"""The jobs that users launch from the UI, and that sensors and schedules launch.

`refresh` does what `recsys refresh` does. Dagster's own *Materialize unsynced* goes down one level at a time, since
children turn stale only once a parent was rebuilt to different bytes. The job has one step, which rebuilds wave after
wave until nothing is out of date. Each wave is a run of its own, within the process of this one, so its
materializations, checks and failures show up in the usual places. Waves do not go through the queue: there they would
wait for the slot that this run itself takes.

`plan` does what `recsys refresh --plan` does. By itself, Dagster looks neither at the event log nor at the data set nor
at stored files, so its pages cannot mark what follows from these. The job looks at all of them, builds nothing, and
reconciles Dagster's record with the lake.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.events import EngineEventData  # the only event with links that is about no asset; no public name

from recsys_assets import pools
from recsys_assets.refresh import runner
from recsys_assets.refresh.planner import make_plan
from recsys_assets.refresh.reconcile import reconcile_event_log
from recsys_assets.resources import LakeResource
from recsys_assets.runs import LAUNCHED_BY_TAG, SCOPE_TAG, console, failures_with_remedy
from recsys_core.lake.staleness import Plan, in_short

STAGE_JOBS = {
    "features_only": "features",
    "retrieval_only": "retrieval",
    "ranking_only": "ranking",
    "evaluation_only": "evaluation",
    "monitoring": "monitoring",
}
"""Job -> the stage whose assets it rebuilds from their current inputs, up to date or not."""

PARENT_TAG, GROUP_TAG = "dagster/parent_run_id", "dagster/root_run_id"
"""On the run of each wave: the run of the job that started it. These are Dagster's own tags, by which the UI links the
runs of a refresh with each other; it exports no names for them."""

STOPPED = "stopped on request: what was published stays, and the next refresh continues from there"
"""Shown on the page of a stopped run, above Dagster's own trace."""

full_refresh = dg.define_asset_job(
    "full_refresh",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("interactions"),
    description=(
        "Rebuilds every asset from the data set and the ingested days, up to date or not. To rebuild only what is out "
        "of date, launch `refresh`."
    ),
    tags={SCOPE_TAG: "full"},
)

ingest_interactions = dg.define_asset_job(
    "ingest_interactions",
    selection=dg.AssetSelection.assets("interactions"),
    description="Ingests the event log of one or more days of arrival; choose the days as partitions.",
    tags={SCOPE_TAG: "ingest"},
)


def stage_jobs() -> list[Any]:  # Dagster's type of an unresolved job has no public name
    """A job for each stage of STAGE_JOBS."""
    return [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.groups(stage),
            description=(
                f"Rebuilds the assets of the stage {stage} from their current inputs, for experiments. `refresh` also "
                "updates the stages before and after it."
            ),
            tags={SCOPE_TAG: stage},
        )
        for name, stage in STAGE_JOBS.items()
    ]


# Not in the pool of training: where the pools of an instance hold single steps, a wave would wait for its own parent.
@dg.op(pool=pools.REFRESH, out=dg.Out(dg.Nothing), tags={"kind": "refresh"})
def rebuild_what_is_out_of_date(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Plans, rebuilds what is certainly out of date, and plans again, until nothing is left."""

    def on_wave(wave: list[str], plan: Plan) -> None:
        reasons = "; ".join(f"{name} ({', '.join(plan[name].reasons)})" for name in wave)
        context.log.info("to be rebuilt now: %s", reasons)

    def on_run(run_id: str, assets: Sequence[str]) -> None:
        link = EngineEventData(metadata={"run": dg.MetadataValue.dagster_run(run_id)})
        context.instance.report_engine_event(f"a run of its own for {', '.join(assets)}", context.run, link)

    tags = {LAUNCHED_BY_TAG: "job refresh", PARENT_TAG: context.run_id, GROUP_TAG: context.run_id}
    try:
        with failures_with_remedy():
            built = runner.refresh(
                context.repository_def, lake, context.instance, tags=tags, on_wave=on_wave, on_run=on_run
            )
    except KeyboardInterrupt:
        raise dg.DagsterExecutionInterruptedError(STOPPED) from None
    message = f"Rebuilt {len(built)}: {', '.join(built)}." if built else "Everything was up to date: nothing rebuilt."
    context.log.info(message)
    context.add_output_metadata({"built": built, "n_built": len(built)})


@dg.job(
    logger_defs={"console": console},
    tags={SCOPE_TAG: "stale"},
    description=(
        "Brings everything up to date: ingests new days, rebuilds what is missing, damaged, or made from other code, "
        "settings or inputs, and stops where a rebuilt asset comes out the same. Does nothing if nothing is stale."
    ),
)
def refresh() -> None:
    """One step, which the docstring of the module describes."""
    rebuild_what_is_out_of_date()


@dg.op(out=dg.Out(dg.Nothing), tags={"kind": "plan"})
def look_what_is_out_of_date(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Hashes every stored file, as the start of a refresh does."""
    with failures_with_remedy():
        plan = make_plan(lake, deep=True)
    reconciled = reconcile_event_log(context.instance, lake, plan)
    stale = {name: in_short(verdict.reasons) for name, verdict in plan.items() if verdict.is_stale}
    for name, reasons in stale.items():
        context.log.info("%s: %s", name, reasons)
    if not stale:
        context.log.info("Everything is up to date: nothing to rebuild.")
    rows = [dg.TableRecord({"asset": name, "why it would be rebuilt": reasons}) for name, reasons in stale.items()]
    table = {"plan": dg.MetadataValue.table(rows)} if rows else {}  # Dagster refuses an empty one without a schema
    context.add_output_metadata({**table, "n_out_of_date": len(stale), "noted": reconciled})


@dg.job(
    logger_defs={"console": console},
    tags={SCOPE_TAG: "none"},
    description=(
        "Shows what is out of date and why, as `recsys refresh --plan` does, and builds nothing. The plan is in the "
        "metadata of its step's output, and in its log."
    ),
)
def plan() -> None:
    """One step, which the docstring of the module describes."""
    look_what_is_out_of_date()
