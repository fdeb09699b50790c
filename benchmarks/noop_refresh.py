"""How long does `recsys refresh` take where nothing is out of date?

Usage:
    python -m benchmarks.noop_refresh [RUNS] [--days DAYS]

On a copy of the lake in use, which is brought up to date first, untimed. Each run is a fresh process that imports
Dagster and the definitions, hashes every stored file, asks the event log for the versions of its days, and sees whether
Dagster knows every artifact and every passed check. `--plan` does the same without Dagster's event log. With --days, a
skip a day is logged and ingested before, since every day is an artifact of its own. It should stay below five seconds:
who waits longer for "nothing to do" stops asking.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.processes import Cost, cost_of
from benchmarks.spread import spread_of
from recsys_assets.resources import lake_root, settings_file
from recsys_core.days import DAY_S, start_of
from recsys_core.feedback.records import FIRST_DAY, Event
from recsys_core.feedback.sqlite_log import SqliteLog

COMMANDS = {"refresh": ["refresh"], "refresh --plan": ["refresh", "--plan"]}


def costs(lake: Path, n_runs: int) -> dict[str, list[Cost]]:
    """What each command took, over some runs, on a lake that is up to date afterwards.

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
    """A click on each of the first days that can be logged."""
    first = start_of(FIRST_DAY)
    with SqliteLog(lake / "log") as log:
        log.append(events=[_click(first + number * DAY_S) for number in range(n_days)])


def _click(at: int) -> Event:
    return Event(
        event_id=f"benchmark-{at}", user_id=1, item_id=1, kind="skip", value=None, timestamp=at, received_at=at
    )


def main(arguments: list[str]) -> None:
    """Print a line per command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_runs", type=int, nargs="?", default=5, help="how many runs of each command")
    parser.add_argument("--days", type=int, default=0, help="logged days to ingest before")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder, "lake")
        shutil.copytree(lake_root(), lake)
        if asked.days:
            log_days(lake, asked.days)
        for name, found in costs(lake, asked.n_runs).items():
            wall, cpu = spread_of([one.wall_s for one in found]), spread_of([one.cpu_s for one in found])
            print(f"{name:<14} wall {wall} s, CPU {cpu} s")


if __name__ == "__main__":
    main(sys.argv[1:])
