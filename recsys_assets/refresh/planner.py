"""Judge what is out of date in the lake, by the facts that Dagster uses: code versions, settings, content hashes."""

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import polars as pl

from recsys_assets.asset_specs import ASSET_SPECS, VersionedAssetSpec, arrival_days
from recsys_assets.resources import LakeResource
from recsys_core.data.movielens.sources import locate, source_version
from recsys_core.days import day_before
from recsys_core.errors import ArtifactError, LogError
from recsys_core.feedback.deduplication import NO_VERSION, day_versions, last_closed_day, version_until
from recsys_core.feedback.inspection import Loss, deliveries_by_day, gaps, is_accepted
from recsys_core.feedback.interactions import versions_of_days
from recsys_core.feedback.quarantine import excluded_requests, version_without
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE
from recsys_core.lake.staleness import Node, Plan, plan

if TYPE_CHECKING:
    from recsys_core.feedback.log import EventLog


def make_plan(lake: LakeResource, *, deep: bool = False) -> Plan:
    """A verdict on every asset and every logged day, parents first.

    Args:
        lake: the lake.
        deep: hash every stored file, not only compare sizes.

    Raises:
        DataError: the data set of the settings cannot be found.
        LogError: the event log cannot be read.
    """
    with lake.open_log() as log:
        logged = versions_of_days(log)
        requests, impressions = (day_versions(log, table) for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE))
        set_aside = excluded_requests(log)
    days = days_to_ingest(lake, logged)
    nodes = [node for spec in ASSET_SPECS.values() for node in _nodes(spec, days)]
    outside = {
        "source": _source(lake),
        "served": version_without(version_until(closed_until(), requests, impressions), set_aside),
        "shown": version_without(version_until(settled_until(), impressions), set_aside),
        **{f"log/{day}": logged.get(day, NO_VERSION) for day in days},
    }
    return plan(nodes, lake.store.survey([node.name for node in nodes], deep=deep), outside)


def closed_until() -> str:
    """The last day (YYYY-MM-DD) that is over and past its grace period: no more events are expected to arrive on it."""
    return last_closed_day(int(time.time()), ASSET_SPECS["interactions"].parameters()["grace_s"])


def settled_until() -> str:
    """The last day whose impressions have all their outcomes, if users respond within a day."""
    return day_before(closed_until())


def days_to_ingest(lake: LakeResource, logged: Mapping[str, str]) -> list[str]:
    """Every closed day that has a log, or had one when it was last ingested.

    Args:
        lake: the lake.
        logged: the version of each day that has a log.
    """
    closed = closed_until()
    known = {*logged, *lake.store.partitions("interactions")} & set(arrival_days.get_partition_keys())
    return sorted(day for day in known if day <= closed)


def ingested_days(lake: LakeResource) -> list[str]:
    """The closed days in the lake, in order. A day that was ingested by hand counts only once it is closed."""
    return days_to_ingest(lake, {})


def days_out_of_date(lake: LakeResource) -> dict[str, str]:
    """Days of the log that must be ingested, in order: day -> the version of the code and log it would be made from.

    This is the part of `make_plan` for days alone, for a sensor that runs every minute.
    """
    with lake.open_log() as log:
        logged = versions_of_days(log)
    days = days_to_ingest(lake, logged)
    nodes = _nodes(ASSET_SPECS["interactions"], days)
    outside = {f"log/{day}": logged.get(day, NO_VERSION) for day in days}
    verdicts = plan(nodes, lake.store.survey([node.name for node in nodes]), outside)
    return {
        day: f"{node.code_version}/{outside[f'log/{day}']}"
        for day, node in zip(days, nodes, strict=True)
        if verdicts[node.name].is_stale
    }


def days_that_shrank(lake: LakeResource, log: "EventLog", days: Collection[str] | None = None) -> dict[str, Loss]:
    """Days of which the log holds less than was ingested, without the user having accepted the loss.

    Args:
        lake: the lake.
        log: the event log.
        days: the days to look at, YYYY-MM-DD; None: all ingested days.

    Raises:
        LogError: the log cannot be read.
    """
    held = deliveries_by_day(log)
    found = {}
    for day in lake.store.partitions("interactions") if days is None else sorted(days):
        if loss := loss_of(lake, log, day, held.get(day, 0)):
            found[day] = loss
    return found


def refuse_losses(lake: LakeResource, log: "EventLog", days: Collection[str]) -> None:
    """Return if none of these days has lost events since it was ingested.

    Raises:
        LogError: one has lost events, or the log cannot be read.
    """
    lost = list(days_that_shrank(lake, log, days).values())
    if lost:
        raise LogError(f"{log.place}: {lost[0]}" + (f" ({len(lost)} such days)" if len(lost) > 1 else ""))


def loss_of(lake: LakeResource, log: "EventLog", day: str, n_held: int) -> Loss | None:
    """The events a day has lost since it was ingested; None if it lost nothing, or if the user accepted the loss.

    Args:
        lake: the lake.
        log: the event log.
        day: YYYY-MM-DD.
        n_held: number of deliveries that the log now holds of the day.

    Raises:
        LogError: the log cannot be read.
    """
    try:
        made = lake.store.current("interactions", day)
    except ArtifactError:  # damaged: its manifest no longer says what it was made from
        return None
    n_ingested = made.lineage.facts.get("deliveries") if made else None
    if made is None or not isinstance(n_ingested, int) or n_held >= n_ingested:
        return None
    loss = Loss(day=day, version=made.version, n_ingested=n_ingested, n_held=n_held)
    return None if is_accepted(log, loss) else loss


def log_gaps(lake: LakeResource) -> pl.DataFrame:
    """Stretches of closed days that are not ingested, changed since then, or have no log; columns GAPS_COLUMNS.

    Raises:
        LogError: the log cannot be read.
    """
    with lake.open_log() as log:
        logged = versions_of_days(log)
    ingested = {}
    for day in lake.store.partitions("interactions"):
        manifest = lake.store.current("interactions", day)
        if manifest is not None:
            ingested[day] = manifest.lineage.inputs[f"log/{day}"]
    return gaps(logged, ingested, closed_until())


def _nodes(spec: VersionedAssetSpec, days: list[str]) -> list[Node]:
    parameters, libraries = spec.parameters(), spec.library_versions()
    names = [f"{spec.name}/{day}" for day in days] if spec.is_partitioned else [spec.name]
    return [
        Node(
            name=name,
            code_version=spec.code_version(parameters, libraries),
            parents=_parents(spec, name, days),
            parameters=parameters,
            libraries=libraries,
            version_of=spec.code_version,
        )
        for name in names
    ]


def _parents(spec: VersionedAssetSpec, name: str, days: list[str]) -> tuple[str, ...]:
    parents = []
    for parent in spec.parents:
        parents += [f"{parent}/{day}" for day in days] if ASSET_SPECS[parent].is_partitioned else [parent]
    outside = [f"{kind}/{name.split('/')[1]}" if spec.is_partitioned else kind for kind in spec.outside]
    return (*outside, *parents)


def _source(lake: LakeResource) -> str:
    dataset = str(ASSET_SPECS["raw_data"].parameters()["dataset"])
    return source_version(locate(dataset, lake.raw_folder))
