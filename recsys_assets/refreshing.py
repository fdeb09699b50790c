"""Rebuild exactly what is out of date, in waves, until nothing is.

After each wave the plan is made again: an input that was rebuilt to the same bytes leaves everything below it alone.
"""

import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError  # Dagster raises it, but exports no name for it

from recsys_assets import pools
from recsys_assets.catching_up import catch_up
from recsys_assets.jobs import LAUNCHED, QUIET, SCOPE_TAG, SHOWN_WITH_JOB, Started, nobody
from recsys_assets.orphans import bury, owned
from recsys_assets.planning import make_plan
from recsys_assets.proving import UnprovenError, prove, refuse_unproven
from recsys_assets.publishing import progress
from recsys_assets.resources import LakeResource
from recsys_core.days import Stretch, stretches
from recsys_core.errors import RecsysError
from recsys_core.lake.staleness import Plan, Verdict, next_wave

RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
"""Dagster's own, by which a run knows its first and last partition; it exports no names for them."""

Tell = Callable[[list[str], Plan], None]
"""Told of each wave before it is built, with the plan that it comes from."""

Attempt = tuple[str, frozenset[tuple[str, str | None]]]
"""An artifact, and the versions of its inputs when it was planned."""


def refresh(
    repository: dg.RepositoryDefinition,
    lake: LakeResource,
    instance: dg.DagsterInstance,
    *,
    tags: Mapping[str, str] = LAUNCHED,
    tell: Tell = lambda _wave, _plan: None,
    started: Started = nobody,
) -> list[str]:
    """Rebuild what is stale, each wave in runs of its own in this process; returns what was built, in order.

    Args:
        repository: what Dagster knows, on this lake.
        lake: the lake.
        instance: where the runs are recorded.
        tags: of each run.
        tell: called before each wave.
        started: called before each run.

    Raises:
        RecsysError: an asset failed with a problem that the user can mend; or all is up to date but what lies below
            an asset of which a blocking check did not pass.
        KeyboardInterrupt: somebody stopped it; what was published by then is safe.
        dg.DagsterError: Dagster itself failed.
    """
    with pools.alone(Path(lake.root), pools.REFRESH, _say_that_it_waits), owned(instance) as owner:
        lake.store.sweep()
        bury(instance)
        built: list[str] = []
        done: set[Attempt] = set()
        marked = {SCOPE_TAG: "stale", **tags, **owner}
        plan = make_plan(lake, deep=True)  # whoever was told that an artifact is damaged is told to come here
        while True:
            catch_up(instance, lake, plan)
            unproven = prove(repository, instance, fresh(plan), marked, started)
            wave = next_wave(plan, unproven)
            if not wave:
                refuse_unproven(repository, instance, unproven)
                return built
            _refuse_repeats(wave, plan, done)
            tell(wave, plan)
            red = _build(repository, instance, wave, marked, started)
            before, plan = plan, make_plan(lake, deep=True)
            made = [name for name in wave if red is None or name in red.assets or not plan[name].is_stale]
            built += [name for name in made if name not in built]
            done |= {_attempt(before[name]) for name in made}


def _say_that_it_waits() -> None:
    progress.warning("waiting: another refresh of this lake is at work")


def fresh(plan: Plan) -> list[str]:
    """What is up to date."""
    return [name for name, verdict in plan.items() if not verdict.is_stale]


def _runs(wave: list[str]) -> list[tuple[list[str], Stretch | None]]:
    """(assets, days) of each Dagster run: one per stretch of days of interactions, then one for all else."""
    days = [(["interactions"], stretch) for stretch in stretches([one.split("/")[1] for one in wave if "/" in one])]
    whole = [one for one in wave if "/" not in one]
    return [*days, *([(whole, None)] if whole else [])]


def _build(
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    wave: list[str],
    tags: Mapping[str, str],
    started: Started,
) -> UnprovenError | None:
    """Make a wave; returns why it ended early where a blocking check did not pass."""
    try:
        for assets, days in _runs(wave):
            execute(repository, instance, assets, days, tags, started)
    except UnprovenError as red:
        return red  # what does not lie below it is gone on with
    return None


def execute(
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    assets: list[str],
    days: Stretch | None,
    tags: Mapping[str, str],
    started: Started = nobody,
) -> None:
    """One run in this process: of some assets without partitions, or of interactions over a stretch of days.

    The first is a run of Dagster's own job over all assets, as a click on *Materialize* is, so that the UI names it by
    its assets; the second is one of `ingest_interactions`.

    Raises:
        RecsysError: an asset failed with a problem that the user can mend, or a blocking check did not pass.
        KeyboardInterrupt: somebody stopped it.
    """
    job = repository.get_implicit_global_asset_job_def() if days is None else repository.get_job("ingest_interactions")
    between = {} if days is None else dict(zip(RANGE_TAGS, days, strict=True))
    run_id = str(uuid.uuid4())
    started(run_id, assets)
    try:
        job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in assets],
            run_config=QUIET,
            run_id=run_id,
            tags={**SHOWN_WITH_JOB, **tags, **between},
        )
    except DagsterAssetCheckFailedError:
        refuse_unproven(repository, instance, assets)
        raise
    except dg.Failure as failure:
        if isinstance(failure.__cause__, RecsysError):
            raise failure.__cause__ from None
        raise
    except dg.DagsterExecutionInterruptedError as interrupted:
        raise KeyboardInterrupt from interrupted


def _attempt(verdict: Verdict) -> Attempt:
    return verdict.name, frozenset(verdict.inputs.items())


def _refuse_repeats(wave: list[str], plan: Plan, done: Collection[Attempt]) -> None:
    """Stop where making the same from the same did not help; after news from outside, a second time is in order."""
    again = [name for name in wave if _attempt(plan[name]) in done]
    if again:
        why = "; ".join(f"{name}: {', '.join(plan[name].reasons)}" for name in again)
        raise dg.DagsterInvariantViolationError(f"rebuilt and still out of date: {why}")
