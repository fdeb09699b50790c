"""What does a first `recsys run` cost, once the environment is installed?

Usage:
    python -m benchmarks.cold_run [RUNS]

Each run gets a new lake with the shipped data set in a temporary folder, and builds the whole graph in a process of its
own. CPU seconds depend less than wall time on other work of the machine.
"""

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks import PROJECT
from benchmarks.measuring import Cost, cost_of, spread_of
from recsys_assets.asset_specs import ASSET_SPECS
from recsys_core.data.movielens.sources import EMBEDDED


@dataclass(frozen=True, kw_only=True, slots=True)
class ColdRun:
    """The cost of one run, and the seconds of each asset, in the order in which they were built."""

    cost: Cost
    asset_s: dict[str, float]


def cold_run() -> ColdRun:
    """Build everything in an empty lake, and remove the lake.

    Raises:
        RuntimeError: the run failed; its output has been printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder, "lake")
        (lake / "raw").mkdir(parents=True)
        shutil.copy(PROJECT / "data_lake" / "raw" / f"{EMBEDDED}.zip", lake / "raw")
        cost = cost_of(["-m", "recsys_assets.cli", "--lake", str(lake), "run"])
        return ColdRun(cost=cost, asset_s=_asset_seconds(lake))


def _asset_seconds(lake: Path) -> dict[str, float]:
    """Seconds per asset as Dagster recorded them, in order of completion."""
    import recsys_assets.definitions  # noqa: F401, PLC0415  # declares the assets; costs a second, so only when needed

    found: list[tuple[float, str, float]] = []
    with dg.DagsterInstance.from_config(str(lake / "dagster")) as instance:
        for name in ASSET_SPECS:
            event = instance.get_latest_materialization_event(dg.AssetKey(name))
            made = event.asset_materialization if event else None
            if event and made:
                seconds = made.metadata["duration_s"].value
                found.append((event.timestamp, name, float(str(seconds))))
    return {name: seconds for _, name, seconds in sorted(found)}


def main(arguments: list[str]) -> None:
    """Print the spread of each cost, then a table of the assets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_runs", type=int, nargs="?", default=3, help="number of runs")
    n_runs = parser.parse_args(arguments).n_runs
    runs = [cold_run() for _ in range(n_runs)]
    print(f"wall   {spread_of([run.cost.wall_s for run in runs])} s")
    print(f"CPU    {spread_of([run.cost.cpu_s for run in runs])} s")
    print(f"memory {spread_of([run.cost.peak_gb for run in runs])} GB at its peak")
    for name in runs[0].asset_s:
        print(f"  {name:<22} {spread_of([run.asset_s[name] for run in runs])} s")


if __name__ == "__main__":
    main(sys.argv[1:])
