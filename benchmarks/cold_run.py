"""What does a first `recsys run` cost, the environment being installed?

Usage:
    python -m benchmarks.cold_run [RUNS]

Each run gets a new, empty lake in a temporary folder with the shipped data set in it, builds the whole graph in a
process of its own, and is removed. Wall time depends on what else the machine does; CPU seconds do so less.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks import PROJECT
from benchmarks.spread import spread_of
from recsys_assets.recipes import RECIPES
from recsys_core.data.sources import EMBEDDED

BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024
"""getrusage counts memory in bytes on macOS and in kilobytes elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ColdRun:
    """What one run cost."""

    wall_s: float
    cpu_s: float
    peak_gb: float
    asset_s: dict[str, float]  # in the order in which they were built


def cold_run() -> ColdRun:
    """Build everything in an empty lake, and forget it.

    Raises:
        RuntimeError: the run failed; its output has been printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder, "lake")
        (lake / "raw").mkdir(parents=True)
        shutil.copy(PROJECT / "data_lake" / "raw" / f"{EMBEDDED}.zip", lake / "raw")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "DAGSTER_"))
        }
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "recsys_assets.cli", "--lake", str(lake), "run"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        # wait4 tells what this one child used; getrusage would sum up all children so far.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError("the run failed: see its message above")
        return ColdRun(
            wall_s=wall_s,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_gb=usage.ru_maxrss * BYTES_PER_UNIT / 1e9,
            asset_s=_asset_seconds(lake),
        )


def _asset_seconds(lake: Path) -> dict[str, float]:
    """Seconds per asset as Dagster noted them, in order of completion."""
    import recsys_assets.definitions  # noqa: F401, PLC0415  # declares the assets; costs a second, so only when needed

    found: list[tuple[float, str, float]] = []
    with dg.DagsterInstance.from_config(str(lake / "dagster")) as instance:
        for name in RECIPES:
            event = instance.get_latest_materialization_event(dg.AssetKey(name))
            made = event.asset_materialization if event else None
            if event and made:
                seconds = made.metadata["duration_s"].value
                found.append((event.timestamp, name, float(str(seconds))))
    return {name: seconds for _, name, seconds in sorted(found)}


def main(arguments: list[str]) -> None:
    """Print the spread of each cost, then a table of the assets."""
    runs = [cold_run() for _ in range(int(arguments[0]) if arguments else 3)]
    print(f"wall   {spread_of([run.wall_s for run in runs])} s")
    print(f"CPU    {spread_of([run.cpu_s for run in runs])} s")
    print(f"memory {spread_of([run.peak_gb for run in runs])} GB at its peak")
    for name in runs[0].asset_s:
        print(f"  {name:<22} {spread_of([run.asset_s[name] for run in runs])} s")


if __name__ == "__main__":
    main(sys.argv[1:])
