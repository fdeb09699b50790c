"""The job `refresh`: what `recsys refresh` does, from the UI, a schedule or a sensor.

Dagster's own *Materialize unsynced* goes down one level at a time, since children turn stale only once their parent was
rebuilt to other bytes. This job has one step, which rebuilds wave after wave until nothing is out of date. Each wave is
a run of its own, within the process of this one: its materializations, checks and failures show where they always do.
Waves are not launched through the queue, where they would wait for the place that this run itself takes.
"""

from collections.abc import Sequence

import dagster as dg
from dagster._core.events import EngineEventData  # the only event with links that is about no asset; no public name

from recsys_assets import pools
from recsys_assets.failures import failures_with_remedy
from recsys_assets.jobs import LAUNCHED_BY_TAG, SCOPE_TAG, console
from recsys_assets.refreshing import refresh as rebuild
from recsys_assets.resources import LakeResource
from recsys_core.lake.staleness import Plan

PARENT_TAG, GROUP_TAG = "dagster/parent_run_id", "dagster/root_run_id"
"""On the run of each wave: the run of the job that started it. Dagster's own, so that the UI links the runs of a
refresh with each other; it exports no names for them."""


STOPPED = "stopped, as asked: what was published stays, and the next refresh goes on from there"
"""Above the trace of Dagster's own that the page of a stopped run shows."""


# Not in the pool of training: where the pools of an instance hold single steps, a wave would wait for its own parent.
@dg.op(pool=pools.REFRESH, out=dg.Out(dg.Nothing), tags={"kind": "refresh"})
def rebuild_what_is_out_of_date(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Plans, rebuilds what is certainly out of date, and plans again, until nothing is left."""

    def tell(wave: list[str], plan: Plan) -> None:
        why = "; ".join(f"{name} ({', '.join(plan[name].reasons)})" for name in wave)
        context.log.info("to be rebuilt now: %s", why)

    def started(run_id: str, assets: Sequence[str]) -> None:
        link = EngineEventData(metadata={"run": dg.MetadataValue.dagster_run(run_id)})
        context.instance.report_engine_event(f"a run of its own for {', '.join(assets)}", context.run, link)

    tags = {LAUNCHED_BY_TAG: "job refresh", PARENT_TAG: context.run_id, GROUP_TAG: context.run_id}
    try:
        with failures_with_remedy():
            built = rebuild(context.repository_def, lake, context.instance, tags=tags, tell=tell, started=started)
    except KeyboardInterrupt:
        raise dg.DagsterExecutionInterruptedError(STOPPED) from None
    said = f"Rebuilt {len(built)}: {', '.join(built)}." if built else "Everything was up to date: nothing rebuilt."
    context.log.info(said)
    context.add_output_metadata({"built": built, "n_built": len(built)})


@dg.job(
    logger_defs={"console": console},
    tags={SCOPE_TAG: "stale"},
    description=(
        "Brings everything up to date: ingests new days, rebuilds what is missing, damaged, or made from other code, "
        "settings or inputs, and stops where a rebuilt asset comes out the same. Does nothing where nothing is stale."
    ),
)
def refresh() -> None:
    """One step; see the module."""
    rebuild_what_is_out_of_date()
