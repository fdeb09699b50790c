"""How long does Dagster wait until the definitions are loaded?

Usage:
    python -m benchmarks.load_definitions [RUNS]

Every process of Dagster pays this: the UI, the daemon, each run. A fresh interpreter imports the definitions and is
timed from its start to its end, beside an interpreter that imports dagster alone, which is the least possible.
The first run of each may read files from a cold disk; the median forgives it.
"""

import subprocess
import sys
import time

from benchmarks import PROJECT
from benchmarks.spread import Spread, spread_of

STATEMENTS = {
    "python alone": "pass",
    "dagster alone": "import dagster",
    "definitions": "import recsys_assets.definitions",
}


def load_times(statement: str, n_runs: int) -> Spread:
    """Seconds from the start of an interpreter to its end, over some runs of one statement."""
    times = []
    for _ in range(n_runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], cwd=PROJECT, check=True)
        times.append(time.perf_counter() - started)
    return spread_of(times)


def main(arguments: list[str]) -> None:
    """Print a line per statement."""
    n_runs = int(arguments[0]) if arguments else 5
    for name, statement in STATEMENTS.items():
        print(f"{name:<14} {load_times(statement, n_runs)} s")


if __name__ == "__main__":
    main(sys.argv[1:])
