"""How many events per second can the log take, if each batch is on the disk before it is acknowledged?

Usage:
    python -m benchmarks.event_log [--runs 5] [--url postgresql://user@host/database]

One writer appends clicks with new keys in batches of 1, 64 and 512. Each batch is one transaction, and a run takes
about a second. All runs write into the same log. SQLite writes into a temporary folder, whose disk TMPDIR chooses. With
--url, PostgreSQL is measured as well; that fills the schema recsys_log, so name an empty database. At the end, the
benchmark times the versions of all days, which every plan computes.

A disk that acknowledges before it has written, as many virtual disks do, makes all figures too good, most of all those
of small batches.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import spread_of
from recsys_core.feedback.interactions import versions_of_days
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import Event
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.markdown import markdown_table

BATCHES = (1, 64, 512)
FIRST_SECOND = 1_476_748_800
SECONDS_A_RUN = 1.0

Rates = dict[int, list[float]]
"""Events per second of each run, by batch size."""


def clicks(numbers: Iterator[int], n: int) -> list[Event]:
    """Events with new keys, three minutes apart, so that many events make many days."""
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
    """Events per second in one run; creating them is included, as in a service."""
    started, done = time.perf_counter(), 0
    while (took := time.perf_counter() - started) < seconds:
        log.append(events=clicks(numbers, n_batch))
        done += n_batch
    return done / took


def rates(log: EventLog, n_runs: int, seconds: float = SECONDS_A_RUN) -> Rates:
    """Events per second by batch size, in rounds, so that a slow minute affects all sizes alike."""
    numbers = count()
    log.append(events=clicks(numbers, 1))  # creates the tables
    measured: Rates = {n_batch: [] for n_batch in BATCHES}
    for _ in range(n_runs):
        for n_batch, found in measured.items():
            found.append(rate(log, numbers, n_batch, seconds))
    return measured


def report(name: str, log: EventLog, n_runs: int) -> list[list[str]]:
    """Rows of the table for one log; prints the time of the versions of its days."""
    rows = [[name, str(n_batch), str(spread_of(found))] for n_batch, found in rates(log, n_runs).items()]
    costs = [timed(lambda: versions_of_days(log)) for _ in range(n_runs)]
    days = versions_of_days(log)
    print(f"{name}: the versions of {len(days)} days took {spread_of(costs)} s")
    return rows


def timed(act: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs per batch size")
    parser.add_argument("--url", help="an empty PostgreSQL database to measure as well")
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as folder, SqliteLog(Path(folder)) as log:
        rows = report("SQLite", log, given.runs)
    if given.url:
        from recsys_core.feedback.postgres_log import PostgresLog  # noqa: PLC0415  # needs the extra `postgres`

        with PostgresLog(given.url) as database:
            rows += report("PostgreSQL", database, given.runs)
    print(markdown_table(["log", "events per batch", "events per second"], rows))


if __name__ == "__main__":
    main(sys.argv[1:])
