"""Which checks have passed: nothing may be built on an asset that was published but failed a blocking check.

An asset is published before its checks run. Without this module, a second refresh would find the asset up to date and
continue below it, past the check that stopped the first refresh.
"""

import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from recsys_assets.runs import JOB_PAGE_TAGS, QUIET, OnRunStart, no_callback
from recsys_core.errors import ArtifactError

PASSED = "SUCCEEDED"

WORST_FIRST = ("blocks", "did not finish", "failed", "warns", "never ran", "passed")
"""The possible verdicts on a check's latest run."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of a check's latest run."""

    asset: str
    check: str
    verdict: str  # of WORST_FIRST
    is_blocking: bool
    says: str  # the description of the check
    ran_at: str | None  # YYYY-MM-DD HH:MM, UTC; None: it never ran
    found: dict[str, Any]  # metadata by name, as JSON can hold it


class BlockingCheckError(ArtifactError):
    """Blocking checks did not pass; `assets` names the assets that they check."""

    def __init__(self, message: str, assets: Collection[str]) -> None:
        """The message, and the assets that nothing may be built on."""
        super().__init__(message)
        self.assets = assets


def not_passed(
    repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, assets: Collection[str], *, blocking: bool = True
) -> list[dg.AssetCheckKey]:
    """The checks of these assets whose latest run did not pass, or that never ran, sorted."""
    known = repository.asset_graph
    keys = [
        key
        for key in known.asset_check_keys
        if key.asset_key.to_user_string() in assets and known.get(key).blocking == blocking
    ]
    latest = {key: instance.get_latest_asset_check_evaluation_record(key) for key in keys}
    return sorted(key for key, record in latest.items() if record is None or record.status.value != PASSED)


def failed(
    repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, assets: Collection[str]
) -> list[dg.AssetCheckKey]:
    """The blocking checks of these assets that ran and did not pass, sorted: they stop what lies below.

    Checks that never ran are left out; the next refresh runs them.
    """
    keys = not_passed(repository, instance, assets)
    return [key for key in keys if instance.get_latest_asset_check_evaluation_record(key) is not None]


def findings(repository: dg.RepositoryDefinition, instance: dg.DagsterInstance | None) -> list[Finding]:
    """The result of every check's latest run, worst first, then by name.

    Args:
        repository: the loaded definitions.
        instance: where the runs are recorded; None: nothing has run yet.
    """
    keys = sorted(repository.asset_graph.asset_check_keys)
    found = [_finding(repository, instance, key) for key in keys]
    return sorted(found, key=lambda one: WORST_FIRST.index(one.verdict))


def run_not_passed(
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    assets: Collection[str],
    tags: Mapping[str, str],
    on_run: OnRunStart = no_callback,
) -> set[str]:
    """Run the blocking checks of the assets that have not passed; returns the assets whose checks still do not."""
    keys = not_passed(repository, instance, assets)
    if not keys:
        return set()
    job = repository.get_implicit_global_asset_job_def().get_subset(asset_check_selection=set(keys))
    run_id = str(uuid.uuid4())
    on_run(run_id, sorted({key.asset_key.to_user_string() for key in keys}))
    # A check that fails or raises leaves no passing record, and only passing records count below.
    job.execute_in_process(
        instance=instance, run_config=QUIET, run_id=run_id, tags={**JOB_PAGE_TAGS, **tags}, raise_on_error=False
    )
    return {key.asset_key.to_user_string() for key in not_passed(repository, instance, assets)}


def require_passed(repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, assets: Collection[str]) -> None:
    """Return if every blocking check of these assets has passed.

    Raises:
        BlockingCheckError: naming each check that has not passed, and what it found.
    """
    keys = not_passed(repository, instance, assets)
    if keys:
        found = "; ".join(f"{key.asset_key.to_user_string()}: {key.name}{_result_of(instance, key)}" for key in keys)
        raise BlockingCheckError(
            f"a check did not pass, so nothing was built on its asset ({found}): fix what it names, then run `recsys "
            "refresh`; `recsys checks` shows everything that it found",
            {key.asset_key.to_user_string() for key in keys},
        )


def _finding(
    repository: dg.RepositoryDefinition, instance: dg.DagsterInstance | None, key: dg.AssetCheckKey
) -> Finding:
    record = None if instance is None else instance.get_latest_asset_check_evaluation_record(key)
    evaluation = record.evaluation if record is not None else None
    is_blocking = bool(repository.asset_graph.get(key).blocking)
    if record is None:
        verdict = "never ran"
    elif not isinstance(evaluation, dg.AssetCheckEvaluation):  # the check was planned but never gave a result
        verdict = "did not finish"
    else:
        verdict = _verdict(evaluation, is_blocking=is_blocking)
    is_done = isinstance(evaluation, dg.AssetCheckEvaluation)
    return Finding(
        asset=key.asset_key.to_user_string(),
        check=key.name,
        verdict=verdict,
        is_blocking=is_blocking,
        says=" ".join((repository.asset_graph.get(key).description or "").split()),
        ran_at=None if record is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(record.create_timestamp)),
        found={name: value.value for name, value in evaluation.metadata.items()} if is_done and evaluation else {},
    )


def _verdict(evaluation: dg.AssetCheckEvaluation, *, is_blocking: bool) -> str:
    if evaluation.passed:
        return "passed"
    if is_blocking:
        return "blocks"
    return "warns" if evaluation.severity == dg.AssetCheckSeverity.WARN else "failed"


def _result_of(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> str:
    record = instance.get_latest_asset_check_evaluation_record(key)
    evaluation = record.evaluation if record else None
    if not isinstance(evaluation, dg.AssetCheckEvaluation):  # the check was planned but never gave a result
        return ", which did not finish"
    found = {name: value.value for name, value in evaluation.metadata.items()}
    return f", which found {str(found)[:300]}" if found else ""
