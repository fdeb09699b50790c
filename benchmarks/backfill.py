"""What does it cost to read many days of the log, in one run and in a run for each?

Usage:
    python -m benchmarks.backfill [--days 365] [--events 300] [--single 30] [--runs 3]

A log of so many days with so many ratings each is ingested into a new lake, as `recsys backfill` does: all days in one
run; then the first of them in runs of their own. The process starts before the clock does.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from contextlib import closing
from pathlib import Path

from benchmarks.spread import spread_of
from recsys_core.days import DAY_S, day_of, start_of
from recsys_core.feedback.records import Event
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.markdown import markdown_table

FIRST_SECOND = start_of("2016-10-18")


def write_log(folder: Path, n_days: int, n_events: int) -> None:
    """Ratings, one a second from the start of each day, of so many users."""
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
    """Wall time of a backfill of each stretch, into what the lake has."""
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
    """Both ways, each in a new lake a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--single", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3)
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
    sys.stdout.write(markdown_table(["what", "seconds: median (ends)"], rows) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
