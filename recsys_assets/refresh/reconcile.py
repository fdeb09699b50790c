"""Correct Dagster's event log where it disagrees with the lake.

An artifact is published before Dagster records it. A process that is killed in between, a lost event log, or a pointer
that was set back leaves the UI wrong: it shows such assets as out of date, as never made, or as up to date, until
something else rebuilds them. A failed run, such as a trial, leaves its asset red although the artifact in the lake is
up to date. So every refresh compares the event log with the lake and reports the differences as events without a run.
"""

from collections.abc import Collection, Iterator, Mapping

import dagster as dg

from recsys_assets.asset_specs import ASSET_SPECS, CODE_VERSION_TAG
from recsys_assets.publishing import provenance
from recsys_assets.resources import LakeResource
from recsys_core.lake.manifest import Manifest
from recsys_core.lake.names import split_key
from recsys_core.lake.staleness import Plan

DATA_VERSION_TAG = "dagster/data_version"
INPUT_TAG = "dagster/input_data_version/"
POINTER_TAG = "dagster/input_event_pointer/"
USER_PROVIDED_TAG = "dagster/data_version_is_user_provided"

NOT_RECORDED = (
    "A refresh found this version in the lake: the run that published it could not record it, or the pointer was set."
)
FAILED_SINCE = "A refresh found this asset up to date after a failed run of it: there is nothing to rebuild."


def reconcile_event_log(instance: dg.DagsterInstance, lake: LakeResource, plan: Plan) -> list[str]:
    """Report the artifacts that Dagster records differently, or shows as failed; returns their keys.

    An artifact that differs is reported whether or not it is out of date: Dagster then judges its staleness itself.
    Missing and damaged artifacts are skipped, since Dagster has no event for either. An asset that failed and is out
    of date stays red.

    Args:
        instance: the instance whose event log is corrected.
        lake: the lake.
        plan: the artifacts to compare, "asset" or "asset/day".
    """
    held = {key: made for key, made in lake.store.survey(plan).items() if isinstance(made, Manifest)}
    recorded = dict(_recorded_tags(instance, held))
    reasons = {key: NOT_RECORDED for key, made in held.items() if not _is_recorded(made, recorded.get(key, {}))}
    up_to_date = [key for key in held if not plan[key].is_stale]
    reasons |= dict.fromkeys(_failed_since_made(instance, up_to_date), FAILED_SINCE)
    for key, reason in reasons.items():
        instance.report_runless_asset_event(_materialization(key, held[key], reason))
    return list(reasons)


def _materialization(key: str, made: Manifest, reason: str) -> dg.AssetMaterialization:
    (asset, day), tags = split_key(key), _expected_tags(made)
    # Dagster expects a pointer to the event of each input, but reads it only for partitioned inputs.
    pointers = {tag.replace(INPUT_TAG, POINTER_TAG): "NULL" for tag in tags if tag.startswith(INPUT_TAG)}
    return dg.AssetMaterialization(
        asset, description=reason, partition=day, tags=tags | pointers, metadata=provenance(made)
    )


def _failed_since_made(instance: dg.DagsterInstance, keys: Collection[str]) -> list[str]:
    """The assets whose latest run failed after their latest materialization; days are left out."""
    entries = [record.asset_entry for record in instance.get_asset_records(_whole(keys))]
    return [
        entry.asset_key.to_user_string()
        for entry in entries
        if _has_failed_since(instance, entry.last_materialization, entry.last_run_id)
    ]


def _has_failed_since(instance: dg.DagsterInstance, made: dg.EventLogEntry | None, run_id: str | None) -> bool:
    """Whether an asset's latest run failed after its latest materialization."""
    if made is None or not run_id or made.run_id == run_id:
        return False
    run = instance.get_run_record_by_id(run_id)
    if run is None or run.dagster_run.status != dg.DagsterRunStatus.FAILURE:
        return False
    return made.timestamp < (run.end_time or 0)


def _expected_tags(made: Manifest) -> dict[str, str]:
    """The tags that Dagster records with a materialization and later judges staleness by.

    Versions of partitioned inputs are left out: Dagster gives all days of one run the same version. The head of the
    log names the version of each day instead.
    """
    parents = [name for name in ASSET_SPECS[made.asset].parents if not ASSET_SPECS[name].is_partitioned]
    inputs = {f"{INPUT_TAG}{name}": made.lineage.inputs[name] for name in parents if name in made.lineage.inputs}
    own = {DATA_VERSION_TAG: made.version, CODE_VERSION_TAG: made.lineage.code_version, USER_PROVIDED_TAG: "true"}
    return own | inputs


def _is_recorded(made: Manifest, tags: Mapping[str, str]) -> bool:
    expected = _expected_tags(made)
    if made.partition is not None:
        expected.pop(DATA_VERSION_TAG)  # a day may carry the version of its whole run, as `_expected_tags` says
    return expected.items() <= tags.items()


def _recorded_tags(instance: dg.DagsterInstance, keys: Collection[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """(artifact, tags of its latest materialization) of each artifact that Dagster has recorded."""
    for record in instance.get_asset_records(_whole(keys)):
        if event := record.asset_entry.last_materialization:
            yield record.asset_entry.asset_key.to_user_string(), event.tags or {}
    for asset in {split_key(key)[0] for key in keys if "/" in key}:
        for day, event in _latest_by_day(instance, dg.AssetKey(asset)).items():
            yield f"{asset}/{day}", event.tags or {}


def _whole(keys: Collection[str]) -> list[dg.AssetKey]:
    """The assets without partitions among the artifacts."""
    return [dg.AssetKey(key) for key in keys if "/" not in key]


def _latest_by_day(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[str | None, dg.EventLogEntry]:
    """The latest materialization of each day, by two queries however many days there are."""
    storage, kind = instance.event_log_storage, dg.DagsterEventType.ASSET_MATERIALIZATION
    ids = list(storage.get_latest_storage_id_by_partition(asset, kind).values())
    wanted = dg.AssetRecordsFilter(asset_key=asset, storage_ids=ids)
    records = storage.fetch_materializations(wanted, limit=len(ids)).records if ids else []
    return {record.partition_key: record.event_log_entry for record in records}
