"""What is out of date in the lake, by the same facts that Dagster sees: code versions, settings, content hashes."""

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import polars as pl

from recsys_assets.partitions import arrival_days
from recsys_assets.recipes import RECIPES, Recipe
from recsys_assets.resources import LakeResource
from recsys_core.data.movielens.sources import locate, source_version
from recsys_core.days import day_before
from recsys_core.errors import ArtifactError, LogError
from recsys_core.feedback.deduplication import NO_VERSION, day_versions, last_closed_day, version_until
from recsys_core.feedback.inspection import Loss, deliveries_by_day, gaps, is_accepted
from recsys_core.feedback.interactions import versions_of_days
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE
from recsys_core.feedback.set_aside import requests_set_aside, version_without
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
        set_aside = requests_set_aside(log)
    days = days_to_ingest(lake, logged)
    nodes = [node for recipe in RECIPES.values() for node in _nodes(recipe, days)]
    outside = {
        "source": _source(lake),
        "served": version_without(version_until(closed_until(), requests, impressions), set_aside),
        "shown": version_without(version_until(settled_until(), impressions), set_aside),
        **{f"log/{day}": logged.get(day, NO_VERSION) for day in days},
    }
    return plan(nodes, lake.store.survey([node.name for node in nodes], deep=deep), outside)


def closed_until() -> str:
    """The last day (YYYY-MM-DD) that is over and has had its grace: nothing is expected to arrive on it any more."""
    return last_closed_day(int(time.time()), RECIPES["interactions"].parameters()["grace_s"])


def settled_until() -> str:
    """The last day whose answers to what was shown have all arrived, if they come within a day."""
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
    """The closed days in the lake, in order. One that was ingested by hand before its end counts once it is closed."""
    return days_to_ingest(lake, {})


def days_out_of_date(lake: LakeResource) -> dict[str, str]:
    """Days of the log that are to be ingested, in order: day -> the version of what it would be made from.

    The days' part of `make_plan` alone, for a sensor that asks every minute.
    """
    with lake.open_log() as log:
        logged = versions_of_days(log)
    days = days_to_ingest(lake, logged)
    nodes = _nodes(RECIPES["interactions"], days)
    outside = {f"log/{day}": logged.get(day, NO_VERSION) for day in days}
    verdicts = plan(nodes, lake.store.survey([node.name for node in nodes]), outside)
    return {
        day: f"{node.code_version}/{outside[f'log/{day}']}"
        for day, node in zip(days, nodes, strict=True)
        if verdicts[node.name].is_stale
    }


def days_that_shrank(lake: LakeResource, log: "EventLog", days: Collection[str] | None = None) -> dict[str, Loss]:
    """Of some days, those of which the log holds less than was ingested, and nobody said that this is in order.

    Args:
        lake: the lake.
        log: the event log.
        days: YYYY-MM-DD; None: all that were ingested.

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
    """Nothing where none of these days has lost anything since it was ingested.

    Raises:
        LogError: one has, or the log cannot be read.
    """
    lost = list(days_that_shrank(lake, log, days).values())
    if lost:
        raise LogError(f"{log.place}: {lost[0]}" + (f" ({len(lost)} such days)" if len(lost) > 1 else ""))


def loss_of(lake: LakeResource, log: "EventLog", day: str, n_held: int) -> Loss | None:
    """What a day has lost since it was ingested; None where nothing, or where that was accepted.

    Args:
        lake: the lake.
        log: the event log.
        day: YYYY-MM-DD.
        n_held: deliveries that the log holds of the day now.

    Raises:
        LogError: the log cannot be read.
    """
    try:
        made = lake.store.current("interactions", day)
    except ArtifactError:  # damaged: nobody knows what it was made from
        return None
    n_ingested = made.lineage.facts.get("deliveries") if made else None
    if made is None or not isinstance(n_ingested, int) or n_held >= n_ingested:
        return None
    loss = Loss(day=day, version=made.version, n_ingested=n_ingested, n_held=n_held)
    return None if is_accepted(log, loss) else loss


def log_gaps(lake: LakeResource) -> pl.DataFrame:
    """Stretches of closed days that were not ingested as their log is now, or have none; GAPS_COLUMNS.

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


def _nodes(recipe: Recipe, days: list[str]) -> list[Node]:
    parameters, libraries = recipe.parameters(), recipe.library_versions()
    names = [f"{recipe.name}/{day}" for day in days] if recipe.is_partitioned else [recipe.name]
    return [
        Node(
            name=name,
            code_version=recipe.code_version(parameters, libraries),
            parents=_parents(recipe, name, days),
            parameters=parameters,
            libraries=libraries,
            version_of=recipe.code_version,
        )
        for name in names
    ]


def _parents(recipe: Recipe, name: str, days: list[str]) -> tuple[str, ...]:
    parents = []
    for parent in recipe.parents:
        parents += [f"{parent}/{day}" for day in days] if RECIPES[parent].is_partitioned else [parent]
    outside = [f"{kind}/{name.split('/')[1]}" if recipe.is_partitioned else kind for kind in recipe.outside]
    return (*outside, *parents)


def _source(lake: LakeResource) -> str:
    dataset = str(RECIPES["raw_data"].parameters()["dataset"])
    return source_version(locate(dataset, lake.raw_folder))
