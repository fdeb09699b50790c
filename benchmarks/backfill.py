"""What does it cost to ingest many days of the log: in one run, and in one run per day?

Usage:
    python -m benchmarks.backfill [--days 365] [--events 300] [--single 30] [--runs 3]

A log with --events ratings on each of --days days is ingested into a new lake, as `recsys backfill` does: first all
days in one run, then --single days in runs of their own. The start of the process is not timed.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from contextlib import closing
from pathlib import Path

from benchmarks.measuring import spread_of
from recsys_core.days import DAY_S, day_of, start_of
from recsys_core.feedback.records import Event
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.markdown import markdown_table

FIRST_SECOND = start_of("2016-10-18")


def write_log(folder: Path, n_days: int, n_events: int) -> None:
    """One rating a second from the start of each day, each of another user."""
    with closing(SqliteLog(folder)) as log:
        for day in range(n_days):
            at = [FIRST_SECOND + day * DAY_S + number for number in range(n_events)]
            log.append(
                events=[
                    Event(
                        event_id=f"{day}-{number}",
                        user_id=number,
                        item_id=1 + number,
                        kind="rating",
                        value=3.5,
                        timestamp=time_,
                        received_at=time_,
                    )
                    for number, time_ in enumerate(at)
                ]
            )


def seconds(lake: Path, stretches: list[tuple[str, str]]) -> float:
    """Wall time of backfilling each stretch of days into the lake."""
    os.environ["RECSYS_LAKE"] = str(lake)
    from recsys_assets.definitions import defs  # noqa: PLC0415
    from recsys_assets.instance import instance  # noqa: PLC0415
    from recsys_assets.refresh.runner import backfill  # noqa: PLC0415  # the lake is chosen above

    with instance() as dagster:
        started = time.perf_counter()
        for first, last in stretches:
            backfill(defs.get_repository_def(), dagster, first, last)
        return time.perf_counter() - started


def main() -> None:
    """Time both ways, each run in a new lake."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365, help="days of the log")
    parser.add_argument("--events", type=int, default=300, help="ratings per day")
    parser.add_argument("--single", type=int, default=30, help="days ingested in runs of their own")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way")
    asked = parser.parse_args()
    days = [day_of(FIRST_SECOND + number * DAY_S) for number in range(asked.days)]
    ways = {
        f"{asked.days} days in one run": [(days[0], days[-1])],
        f"{asked.single} days in {asked.single} runs": [(day, day) for day in days[: asked.single]],
    }
    rows = []
    for way, stretches in ways.items():
        took = []
        for _ in range(asked.runs):
            with tempfile.TemporaryDirectory() as folder:
                write_log(Path(folder) / "log", asked.days, asked.events)
                took.append(seconds(Path(folder), stretches))
        rows.append([way, str(spread_of(took))])
    sys.stdout.write(markdown_table(["way", "seconds: median (min to max)"], rows) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
