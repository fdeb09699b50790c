"""Reading days of the log again on request: new days need no asking, `refresh` sees them."""

from collections.abc import Mapping

import dagster as dg

from recsys_assets.jobs import LAUNCHED_BY_TAG
from recsys_assets.orphans import bury, owned
from recsys_assets.planning import closed_until
from recsys_assets.refreshing import execute
from recsys_core.days import days_from, start_of
from recsys_core.errors import DataError
from recsys_core.feedback.records import FIRST_DAY

LAUNCHED = {LAUNCHED_BY_TAG: "recsys backfill"}


def backfill(
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    first: str,
    last: str,
    *,
    tags: Mapping[str, str] = LAUNCHED,
) -> list[str]:
    """Ingest the log of every day of a range in one run, whether it is up to date or not; returns the days.

    A day whose log has not changed comes out the same; a day without a log gives an empty table. What lies below is
    left to a refresh.

    Args:
        repository: what Dagster knows, on a lake.
        instance: where the run is recorded.
        first: the first day, YYYY-MM-DD.
        last: the last day, with it.
        tags: of the run.

    Raises:
        DataError: the range is none, or lies before the first day that can have a log, or is not closed yet; or too
            many events of a day are rejected. Days that were read before that one stay ingested.
        LogError: the log cannot be read.
    """
    closed = closed_until()
    if start_of(first) > start_of(last):
        raise DataError(f"{first} comes after {last}: give the earlier day first")
    if first < FIRST_DAY:
        raise DataError(f"{first} lies before {FIRST_DAY}, when the log begins: start there")
    if last > closed:
        raise DataError(f"{last} is not closed yet, so that events may still arrive on it: end at {closed}")
    bury(instance)
    with owned(instance) as owner:
        execute(repository, instance, ["interactions"], (first, last), {**tags, **owner})
    return days_from(first, last)
