"""The job `plan`: what `recsys refresh --plan` shows, for those who look at the UI only.

By itself, Dagster looks neither at the event log nor at the data set nor at stored files, so its pages cannot mark what
follows from these. This job looks, and builds nothing. Its step's output holds the plan, and where the lake holds
something else than Dagster noted, that is noted.
"""

import dagster as dg

from recsys_assets.catching_up import catch_up
from recsys_assets.failures import failures_with_remedy
from recsys_assets.jobs import SCOPE_TAG, console
from recsys_assets.planning import make_plan
from recsys_assets.resources import LakeResource
from recsys_core.lake.staleness import in_short


@dg.op(out=dg.Out(dg.Nothing), tags={"kind": "plan"})
def look_what_is_out_of_date(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Hashes every stored file, as the start of a refresh does."""
    with failures_with_remedy():
        plan = make_plan(lake, deep=True)
    noted = catch_up(context.instance, lake, plan)
    why = {name: in_short(verdict.reasons) for name, verdict in plan.items() if verdict.is_stale}
    for name, reasons in why.items():
        context.log.info("%s: %s", name, reasons)
    if not why:
        context.log.info("Everything is up to date: nothing to rebuild.")
    shown = [dg.TableRecord({"asset": name, "why it would be rebuilt": reasons}) for name, reasons in why.items()]
    table = {"plan": dg.MetadataValue.table(shown)} if shown else {}  # Dagster refuses an empty one without a schema
    context.add_output_metadata({**table, "n_out_of_date": len(why), "noted": noted})


@dg.job(
    logger_defs={"console": console},
    tags={SCOPE_TAG: "none"},
    description=(
        "Shows what is out of date and why, as `recsys refresh --plan` does, and builds nothing. The plan is in the "
        "metadata of its step's output, and in its log."
    ),
)
def plan() -> None:
    """One step; see the module."""
    look_what_is_out_of_date()
