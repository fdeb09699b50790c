"""How long does Dagster wait until the definitions are loaded?

Usage:
    python -m benchmarks.load_definitions [RUNS]

Every process of Dagster pays this: the UI, the daemon, each run. A fresh interpreter imports the definitions and is
timed from its start to its end, beside an interpreter that imports dagster alone, which is the least possible.
The first run of each may read files from a cold disk; the median forgives it.
"""

import argparse
import sys

from benchmarks.processes import Cost, cost_of
from benchmarks.spread import spread_of

STATEMENTS = {
    "python alone": "pass",
    "dagster alone": "import dagster",
    "definitions": "import recsys_assets.definitions",
}


def load_costs(statement: str, n_runs: int) -> list[Cost]:
    """What a fresh interpreter took for one statement, from its start to its end, over some runs."""
    return [cost_of(["-c", statement]) for _ in range(n_runs)]


def main(arguments: list[str]) -> None:
    """Print a line per statement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_runs", type=int, nargs="?", default=5, help="how many runs")
    n_runs = parser.parse_args(arguments).n_runs
    for name, statement in STATEMENTS.items():
        costs = load_costs(statement, n_runs)
        wall, cpu = spread_of([cost.wall_s for cost in costs]), spread_of([cost.cpu_s for cost in costs])
        print(f"{name:<14} wall {wall} s, CPU {cpu} s")


if __name__ == "__main__":
    main(sys.argv[1:])
