"""Which checks have passed: what was published but not proven must not be built upon.

An asset is published before its checks run. Without this, a second refresh would find it up to date and go on below it,
past the check that stopped the first.
"""

from collections.abc import Collection, Mapping

import dagster as dg

from recsys_assets.jobs import QUIET
from recsys_core.errors import ArtifactError

PASSED = "SUCCEEDED"


class UnprovenError(ArtifactError):
    """Blocking checks did not pass; `assets` names whose."""

    def __init__(self, message: str, assets: Collection[str]) -> None:
        """The message, and the assets that nothing may be built upon."""
        super().__init__(message)
        self.assets = assets


def unproven(
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


def red(
    repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, assets: Collection[str]
) -> list[dg.AssetCheckKey]:
    """The blocking checks of these assets that ran and did not pass, sorted: nothing is built upon their assets.

    Another than these may be unproven as well, because it never ran; the next refresh runs it.
    """
    keys = unproven(repository, instance, assets)
    return [key for key in keys if instance.get_latest_asset_check_evaluation_record(key) is not None]


def prove(
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    assets: Collection[str],
    tags: Mapping[str, str],
) -> set[str]:
    """Run those blocking checks of the assets that have not passed; returns the assets of which one still does not."""
    keys = unproven(repository, instance, assets)
    if not keys:
        return set()
    job = repository.get_job("full_refresh").get_subset(asset_check_selection=set(keys))
    # A check that fails or breaks leaves no passing record, and that is what counts.
    job.execute_in_process(instance=instance, run_config=QUIET, tags=dict(tags), raise_on_error=False)
    return {key.asset_key.to_user_string() for key in unproven(repository, instance, assets)}


def refuse_unproven(repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, assets: Collection[str]) -> None:
    """Stop where a blocking check has not passed.

    Raises:
        UnprovenError: naming each such check and what it found.
    """
    failed = unproven(repository, instance, assets)
    if failed:
        found = "; ".join(f"{key.asset_key.to_user_string()}: {key.name}{_found(instance, key)}" for key in failed)
        raise UnprovenError(
            f"a check did not pass, so nothing was built upon its asset ({found}): mend what it names, then `recsys "
            "refresh`; `recsys ui` shows all that it found",
            {key.asset_key.to_user_string() for key in failed},
        )


def _found(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> str:
    record = instance.get_latest_asset_check_evaluation_record(key)
    evaluation = record.evaluation if record else None
    if not isinstance(evaluation, dg.AssetCheckEvaluation):  # it was planned, but never came to a result
        return ", which did not finish"
    found = {name: value.value for name, value in evaluation.metadata.items()}
    return f", which found {str(found)[:300]}" if found else ""
