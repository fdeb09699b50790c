"""Rebuild exactly what is out of date, wave after wave, until nothing is; and ingest days again on request.

The plan is made again after each wave: if a rebuilt input has the same bytes as before, nothing below it is rebuilt.
"""

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError  # Dagster raises it, but exports no name for it

from recsys_assets import pools
from recsys_assets.publishing import progress
from recsys_assets.refresh import dead_runs
from recsys_assets.refresh.check_status import BlockingCheckError, require_passed, run_not_passed
from recsys_assets.refresh.planner import closed_until, make_plan
from recsys_assets.refresh.reconcile import reconcile_event_log
from recsys_assets.resources import LakeResource
from recsys_assets.runs import JOB_PAGE_TAGS, LAUNCHED_BY_TAG, QUIET, SCOPE_TAG, OnRunStart, no_callback
from recsys_core.days import Stretch, days_from, start_of, stretches
from recsys_core.errors import DataError, RecsysError
from recsys_core.feedback.records import FIRST_DAY
from recsys_core.lake.staleness import Plan, Verdict, next_wave

BY_REFRESH_COMMAND = {LAUNCHED_BY_TAG: "recsys refresh"}
BY_BACKFILL_COMMAND = {LAUNCHED_BY_TAG: "recsys backfill"}

RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
"""Dagster's own tags for the first and last partition of a run; it exports no names for them."""

OnWave = Callable[[list[str], Plan], None]
"""Called before each wave is built, with the wave and the plan that it comes from."""

Attempt = tuple[str, frozenset[tuple[str, str | None]]]
"""An artifact, and the versions of its inputs when it was planned."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of building one wave."""

    rebuilt: list[str]
    plan: Plan  # made after the wave


@dataclass(frozen=True, kw_only=True)
class _Context:
    """What all waves of one refresh share."""

    repository: dg.RepositoryDefinition
    lake: LakeResource
    instance: dg.DagsterInstance
    tags: Mapping[str, str]
    on_wave: OnWave
    on_run: OnRunStart


def refresh(
    repository: dg.RepositoryDefinition,
    lake: LakeResource,
    instance: dg.DagsterInstance,
    *,
    tags: Mapping[str, str] = BY_REFRESH_COMMAND,
    on_wave: OnWave = lambda _wave, _plan: None,
    on_run: OnRunStart = no_callback,
) -> list[str]:
    """Rebuild what is stale, each wave in runs of its own in this process; returns what was built, in order.

    Args:
        repository: the loaded definitions, on this lake.
        lake: the lake.
        instance: where the runs are recorded.
        tags: of each run.
        on_wave: called before each wave.
        on_run: called before each run.

    Raises:
        RecsysError: an asset failed with a problem that the user can fix; or everything is up to date except what
            lies below an asset that failed a blocking check.
        KeyboardInterrupt: the user stopped the refresh; what was published by then is safe.
        dg.DagsterError: Dagster itself failed.
    """
    with pools.hold(Path(lake.root), pools.REFRESH, _report_waiting), dead_runs.run_owner(instance) as owner:
        lake.store.sweep()
        dead_runs.mark_failed(instance)
        marked = {SCOPE_TAG: "stale", **tags, **owner}
        context = _Context(
            repository=repository, lake=lake, instance=instance, tags=marked, on_wave=on_wave, on_run=on_run
        )
        built: list[str] = []
        attempts: set[Attempt] = set()
        plan = make_plan(lake, deep=True)  # errors about damaged files tell users to refresh, so files are hashed here
        while outcome := _step(context, plan, attempts):
            built += [name for name in outcome.rebuilt if name not in built]
            attempts |= {_attempt(plan[name]) for name in outcome.rebuilt}
            plan = outcome.plan
        return built


def backfill(
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    first: str,
    last: str,
    *,
    tags: Mapping[str, str] = BY_BACKFILL_COMMAND,
) -> list[str]:
    """Ingest the log of every day of a range in one run, whether it is up to date or not; returns the days.

    New days need no backfill: `refresh` ingests them. A day whose log has not changed gives the same table, and a day
    without a log gives an empty one. What lies below is left to a refresh.

    Args:
        repository: the loaded definitions, on a lake.
        instance: where the run is recorded.
        first: the first day, YYYY-MM-DD.
        last: the last day, inclusive.
        tags: of the run.

    Raises:
        DataError: the range is empty, begins before the first day that can have a log, or is not closed yet; or too
            many events of a day are rejected. Days that were ingested before that one stay ingested.
        LogError: the log cannot be read.
    """
    closed = closed_until()
    if start_of(first) > start_of(last):
        raise DataError(f"{first} comes after {last}: give the earlier day first")
    if first < FIRST_DAY:
        raise DataError(f"{first} lies before {FIRST_DAY}, when the log begins: start there")
    if last > closed:
        raise DataError(f"{last} is not closed yet, so that events may still arrive on it: end at {closed}")
    dead_runs.mark_failed(instance)
    with dead_runs.run_owner(instance) as owner:
        execute(repository, instance, ["interactions"], (first, last), {**tags, **owner})
    return days_from(first, last)


def execute(
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    assets: list[str],
    days: Stretch | None,
    tags: Mapping[str, str],
    on_run: OnRunStart = no_callback,
) -> None:
    """One run in this process: of some assets without partitions, or of interactions over a stretch of days.

    A run of assets is a run of Dagster's own job over all assets, as with *Materialize* in the UI, so that the UI
    names the run by its assets. A run of days is a run of `ingest_interactions`.

    Raises:
        RecsysError: an asset failed with a problem that the user can fix, or a blocking check did not pass.
        KeyboardInterrupt: the user stopped the run.
    """
    job = repository.get_implicit_global_asset_job_def() if days is None else repository.get_job("ingest_interactions")
    between = {} if days is None else dict(zip(RANGE_TAGS, days, strict=True))
    run_id = str(uuid.uuid4())
    on_run(run_id, assets)
    try:
        job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in assets],
            run_config=QUIET,
            run_id=run_id,
            tags={**JOB_PAGE_TAGS, **tags, **between},
        )
    except DagsterAssetCheckFailedError:
        require_passed(repository, instance, assets)
        raise
    except dg.Failure as failure:
        if isinstance(failure.__cause__, RecsysError):
            raise failure.__cause__ from None
        raise
    except dg.DagsterExecutionInterruptedError as interrupted:
        raise KeyboardInterrupt from interrupted


def _step(context: _Context, plan: Plan, attempts: Collection[Attempt]) -> Outcome | None:
    """Build the next wave of a plan; None where nothing is left to build.

    Raises:
        BlockingCheckError: nothing is left except what lies below assets that failed a blocking check.
        dg.DagsterInvariantViolationError: an artifact would be rebuilt from the same inputs a second time.
    """
    reconcile_event_log(context.instance, context.lake, plan)
    up_to_date = [name for name, verdict in plan.items() if not verdict.is_stale]
    blocked = run_not_passed(context.repository, context.instance, up_to_date, context.tags, context.on_run)
    wave = next_wave(plan, blocked)
    if not wave:
        require_passed(context.repository, context.instance, blocked)
        return None
    _refuse_repeats(wave, plan, attempts)
    context.on_wave(wave, plan)
    stopped_by = _build(context, wave)
    after = make_plan(context.lake, deep=True)
    # After a failed check, the rest of the wave counts as rebuilt only where the new plan says so.
    rebuilt = [name for name in wave if stopped_by is None or name in stopped_by.assets or not after[name].is_stale]
    return Outcome(rebuilt=rebuilt, plan=after)


def _build(context: _Context, wave: list[str]) -> BlockingCheckError | None:
    """Build a wave; returns the error if a blocking check stopped it, since the next plan goes on beside that asset."""
    try:
        for assets, days in _runs(wave):
            execute(context.repository, context.instance, assets, days, context.tags, context.on_run)
    except BlockingCheckError as error:
        return error
    return None


def _runs(wave: list[str]) -> list[tuple[list[str], Stretch | None]]:
    """(assets, days) of each Dagster run: one per stretch of days of interactions, then one for all other assets."""
    days = [(["interactions"], stretch) for stretch in stretches([one.split("/")[1] for one in wave if "/" in one])]
    whole = [one for one in wave if "/" not in one]
    return [*days, *([(whole, None)] if whole else [])]


def _attempt(verdict: Verdict) -> Attempt:
    return verdict.name, frozenset(verdict.inputs.items())


def _refuse_repeats(wave: list[str], plan: Plan, attempts: Collection[Attempt]) -> None:
    """Stop where rebuilding from the same inputs did not help; after new events, a second attempt is allowed."""
    again = [name for name in wave if _attempt(plan[name]) in attempts]
    if again:
        why = "; ".join(f"{name}: {', '.join(plan[name].reasons)}" for name in again)
        raise dg.DagsterInvariantViolationError(f"rebuilt and still out of date: {why}")


def _report_waiting() -> None:
    progress.warning("waiting: another refresh of this lake is at work")
