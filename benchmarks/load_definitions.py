"""How long does it take to load the Dagster definitions?

Usage:
    python -m benchmarks.load_definitions [RUNS]

Every process of Dagster loads them: the UI, the daemon, each run. A fresh interpreter imports the definitions, timed
from its start to its end, beside an interpreter that only imports dagster, which is the lower bound. The first run of
each may read files from a cold disk; the median ignores it.
"""

import argparse
import sys

from benchmarks.measuring import Cost, cost_of, spread_of

STATEMENTS = {
    "python alone": "pass",
    "dagster alone": "import dagster",
    "definitions": "import recsys_assets.definitions",
}


def load_costs(statement: str, n_runs: int) -> list[Cost]:
    """The cost of a fresh interpreter that executes one statement, in each of some runs."""
    return [cost_of(["-c", statement]) for _ in range(n_runs)]


def main(arguments: list[str]) -> None:
    """Print a line per statement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_runs", type=int, nargs="?", default=5, help="number of runs")
    n_runs = parser.parse_args(arguments).n_runs
    for name, statement in STATEMENTS.items():
        costs = load_costs(statement, n_runs)
        wall, cpu = spread_of([cost.wall_s for cost in costs]), spread_of([cost.cpu_s for cost in costs])
        print(f"{name:<14} wall {wall} s, CPU {cpu} s")


if __name__ == "__main__":
    main(sys.argv[1:])
