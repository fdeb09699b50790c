"""How many events a second can the log take, each batch on the disk before it is acknowledged?

Usage:
    python -m benchmarks.event_log [--runs 5] [--url postgresql://user@host/database]

One writer appends clicks of new keys in batches of 1, 64 and 512, each batch one transaction, for about a second a run,
to a log of its own that holds what the runs before have left. SQLite writes into a temporary folder (TMPDIR says on
which disk). PostgreSQL is measured where a URL is given; the schema recsys_log of that database is filled, so name an
empty one. Then: how long it takes to work out the versions of all days of what was written, as every plan does.

A disk that acknowledges before it has written (many virtual ones do) makes all figures too good, small batches most.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.spread import spread_of
from recsys_core.feedback.interactions import versions_of_days
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import Event
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.markdown import markdown_table

BATCHES = (1, 64, 512)
FIRST_SECOND = 1_476_748_800
SECONDS_A_RUN = 1.0

Rates = dict[int, list[float]]
"""Events a second of each run, by size of the batch."""


def clicks(numbers: Iterator[int], n: int) -> list[Event]:
    """Events of new keys, three minutes apart, so that many make many days."""
    return [
        Event(
            event_id=f"benchmark-{number:012}",
            user_id=number % 1000,
            item_id=number % 9000,
            kind="click",
            value=None,
            timestamp=FIRST_SECOND + 180 * number,
            received_at=FIRST_SECOND + 180 * number,
        )
        for number in (next(numbers) for _ in range(n))
    ]


def rate(log: EventLog, numbers: Iterator[int], n_batch: int, seconds: float) -> float:
    """Events a second of one run; their making counts, as a service makes its own."""
    started, done = time.perf_counter(), 0
    while (took := time.perf_counter() - started) < seconds:
        log.append(events=clicks(numbers, n_batch))
        done += n_batch
    return done / took


def rates(log: EventLog, n_runs: int, seconds: float = SECONDS_A_RUN) -> Rates:
    """Events a second by size of the batch, round by round, so that a slow minute hits all sizes alike."""
    numbers = count()
    log.append(events=clicks(numbers, 1))  # makes the tables
    measured: Rates = {n_batch: [] for n_batch in BATCHES}
    for _ in range(n_runs):
        for n_batch, found in measured.items():
            found.append(rate(log, numbers, n_batch, seconds))
    return measured


def report(name: str, log: EventLog, n_runs: int) -> list[list[str]]:
    """Rows of the table for one log; prints what a plan costs on it."""
    rows = [[name, str(n_batch), str(spread_of(found))] for n_batch, found in rates(log, n_runs).items()]
    costs = [timed(lambda: versions_of_days(log)) for _ in range(n_runs)]
    days = versions_of_days(log)
    print(f"{name}: the versions of {len(days)} days took {spread_of(costs)} s")
    return rows


def timed(act: Callable[[], object]) -> float:
    """Seconds of one act."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs per size of the batch")
    parser.add_argument("--url", help="an empty PostgreSQL database to measure as well")
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as folder, SqliteLog(Path(folder)) as log:
        rows = report("SQLite", log, given.runs)
    if given.url:
        from recsys_core.feedback.postgres_log import PostgresLog  # noqa: PLC0415  # needs the extra `postgres`

        with PostgresLog(given.url) as database:
            rows += report("PostgreSQL", database, given.runs)
    print(markdown_table(["log", "events a batch", "events a second"], rows))


if __name__ == "__main__":
    main(sys.argv[1:])
