"""What do the commands cost that are run most often: a refresh that finds nothing to do, and one answer?

Usage:
    python -m benchmarks.commands [RUNS] [--days DAYS]

Works on a copy of the lake in use, which is first brought up to date, untimed. Each run is a fresh process. `refresh`
imports Dagster and the definitions, hashes every stored file, asks the event log for the versions of its days, and
checks that Dagster knows every artifact and every passed check. `refresh --plan` does the same without Dagster's event
log. `recommend` loads the models and answers one request. With --days, one skip on each of that many days is logged and
ingested first, because every day is an artifact of its own. The target is below five seconds: users who wait longer for
"nothing to do" stop asking.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import Cost, cost_of, spread_of
from recsys_assets.resources import lake_root, settings_file
from recsys_core.days import DAY_S, start_of
from recsys_core.feedback.records import FIRST_DAY, Event
from recsys_core.feedback.sqlite_log import SqliteLog

COMMANDS = {
    "refresh": ["refresh"],
    "refresh --plan": ["refresh", "--plan"],
    "recommend": ["recommend", "--user", "15"],
}


def costs(lake: Path, n_runs: int) -> dict[str, list[Cost]]:
    """The cost of each command, in each of some runs, on a lake that is up to date afterwards.

    Raises:
        RuntimeError: the lake cannot be brought up to date.
    """
    start = ["-m", "recsys_assets.cli", "--lake", str(lake)]
    settings = settings_file()
    if settings is not None:
        start += ["--settings", str(settings)]
    cost_of([*start, "refresh"])
    return {name: [cost_of([*start, *command]) for _ in range(n_runs)] for name, command in COMMANDS.items()}


def log_days(lake: Path, n_days: int) -> None:
    """Log one skip on each of the first days that can have a log."""
    first = start_of(FIRST_DAY)
    with SqliteLog(lake / "log") as log:
        log.append(events=[_skip(first + number * DAY_S) for number in range(n_days)])


def _skip(at: int) -> Event:
    return Event(
        event_id=f"benchmark-{at}", user_id=1, item_id=1, kind="skip", value=None, timestamp=at, received_at=at
    )


def main(arguments: list[str]) -> None:
    """Print a line per command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_runs", type=int, nargs="?", default=5, help="runs of each command")
    parser.add_argument("--days", type=int, default=0, help="logged days to ingest first")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder, "lake")
        shutil.copytree(lake_root(), lake)
        if asked.days:
            log_days(lake, asked.days)
        for name, found in costs(lake, asked.n_runs).items():
            wall, cpu = spread_of([one.wall_s for one in found]), spread_of([one.cpu_s for one in found])
            print(f"{name:<14} wall {wall} s, CPU {cpu} s, peak {spread_of([one.peak_gb for one in found])} GB")


if __name__ == "__main__":
    main(sys.argv[1:])
