"""Telling Dagster what the lake holds, where its event log says something else.

An artifact is published before Dagster notes it. A process that is killed in between, a lost event log, or a pointer
that was set back, leave the UI wrong: it would show such assets as out of date, as never made, or as up to date, until
there is a reason to make them again. A run that failed, such as a trial, leaves its asset red although what the lake
holds is up to date. So every refresh compares the two, and reports what differs as an event outside of any run.
"""

from collections.abc import Collection, Mapping

import dagster as dg

from recsys_assets.publishing import provenance
from recsys_assets.recipes import CODE_VERSION_TAG, RECIPES
from recsys_assets.resources import LakeResource
from recsys_core.lake.manifest import Manifest
from recsys_core.lake.names import split_key
from recsys_core.lake.staleness import Plan

DATA_VERSION_TAG = "dagster/data_version"
INPUT_TAG = "dagster/input_data_version/"
POINTER_TAG = "dagster/input_event_pointer/"
BY_US_TAG = "dagster/data_version_is_user_provided"

WHY = "Found in the lake by a refresh: it was published by a run that could not tell, or its pointer was set."
WHY_RED = "Found up to date by a refresh, after a run of it that failed: there is nothing to rebuild."


def catch_up(instance: dg.DagsterInstance, lake: LakeResource, plan: Plan) -> list[str]:
    """Report those of the artifacts that Dagster knows otherwise, or shows as failed; returns them.

    Whether the former are out of date is not asked: Dagster then judges that by itself. Missing and damaged ones stay
    as noted, since Dagster has no word for either. What failed and is out of date stays red.

    Args:
        instance: whose event log is to agree with the lake.
        lake: the lake.
        plan: the artifacts to compare, "asset" or "asset/day".
    """
    held = {key: made for key, made in lake.store.survey(plan).items() if isinstance(made, Manifest)}
    noted = _noted(instance, held)
    behind = dict.fromkeys((key for key, made in held.items() if not _is_noted(made, noted.get(key, {}))), WHY)
    behind |= dict.fromkeys(_red(instance, [key for key in held if not plan[key].is_stale]), WHY_RED)
    for key, why in behind.items():
        (asset, day), tags = split_key(key), _tags(held[key])
        # Dagster wants a pointer to the event of each input, but only judges by those of partitions.
        pointers = {tag.replace(INPUT_TAG, POINTER_TAG): "NULL" for tag in tags if tag.startswith(INPUT_TAG)}
        event = dg.AssetMaterialization(
            asset, description=why, partition=day, tags=tags | pointers, metadata=provenance(held[key])
        )
        instance.report_runless_asset_event(event)
    return list(behind)


def _red(instance: dg.DagsterInstance, keys: Collection[str]) -> list[str]:
    """The assets whose latest run failed after their latest materialization; days are left out."""
    found = []
    for record in instance.get_asset_records([dg.AssetKey(key) for key in keys if "/" not in key]):
        made, run_id = record.asset_entry.last_materialization, record.asset_entry.last_run_id
        run = instance.get_run_record_by_id(run_id) if made and run_id and made.run_id != run_id else None
        has_failed = run is not None and run.dagster_run.status == dg.DagsterRunStatus.FAILURE
        if made and run and has_failed and made.timestamp < (run.end_time or 0):
            found.append(record.asset_entry.asset_key.to_user_string())
    return found


def _tags(made: Manifest) -> dict[str, str]:
    """What Dagster notes of a materialization, and later judges by.

    Inputs by day are left out: Dagster gives the days of one run a single version, and the head of the log names each.
    """
    parents = [name for name in RECIPES[made.asset].parents if not RECIPES[name].is_partitioned]
    inputs = {f"{INPUT_TAG}{name}": made.lineage.inputs[name] for name in parents if name in made.lineage.inputs}
    ours = {DATA_VERSION_TAG: made.version, CODE_VERSION_TAG: made.lineage.code_version, BY_US_TAG: "true"}
    return ours | inputs


def _is_noted(made: Manifest, tags: Mapping[str, str]) -> bool:
    expected = _tags(made)
    if made.partition is not None:
        expected.pop(DATA_VERSION_TAG)  # for the same reason, that of a day can be the one of its run
    return expected.items() <= tags.items()


def _noted(instance: dg.DagsterInstance, keys: Collection[str]) -> dict[str, Mapping[str, str]]:
    """The tags of the latest materialization of each artifact that Dagster knows."""
    whole = [dg.AssetKey(key) for key in keys if "/" not in key]
    latest = [record.asset_entry for record in instance.get_asset_records(whole)]
    found: dict[str, dg.EventLogEntry | None] = {
        one.asset_key.to_user_string(): one.last_materialization for one in latest
    }
    for asset in {split_key(key)[0] for key in keys if "/" in key}:
        found |= {f"{asset}/{day}": event for day, event in _latest_by_day(instance, dg.AssetKey(asset)).items()}
    return {key: event.tags or {} for key, event in found.items() if event}


def _latest_by_day(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[str | None, dg.EventLogEntry]:
    """In two queries, however many days there are."""
    storage, kind = instance.event_log_storage, dg.DagsterEventType.ASSET_MATERIALIZATION
    ids = list(storage.get_latest_storage_id_by_partition(asset, kind).values())
    wanted = dg.AssetRecordsFilter(asset_key=asset, storage_ids=ids)
    records = storage.fetch_materializations(wanted, limit=len(ids)).records if ids else []
    return {record.partition_key: record.event_log_entry for record in records}
