"""What does a step cost, by the executor that starts its process?

Usage:
    python -m benchmarks.executors [RUNS]

Builds the whole graph with the smoke settings, as one run of the job `full_refresh` in a new lake, under each of
Dagster's executors for one machine. The assets do the same work each time, so the differences are overhead. CPU seconds
are those of all processes of the run, including the start of the first.
"""

import argparse
import os
import shutil
import sys
import tempfile
from multiprocessing import forkserver
from pathlib import Path

import dagster as dg

from benchmarks import PROJECT
from benchmarks.measuring import Cost, cost_of, spread_of
from recsys_core.data.movielens.sources import EMBEDDED

PRELOADED = ["recsys_assets.definitions", "polars", "pandera.polars"]
"""Torch is left out: forking a process whose libraries have started threads can hang."""

EXECUTORS: dict[str, dg.ExecutorDefinition] = {
    "in one process": dg.in_process_executor,
    "forkserver": dg.multiprocess_executor.configured(
        {"max_concurrent": 1, "start_method": {"forkserver": {"preload_modules": PRELOADED}}}
    ),
    "spawned": dg.multiprocess_executor.configured({"max_concurrent": 1, "start_method": {"spawn": {}}}),
}


def job_with(executor: str) -> dg.JobDefinition:
    """The job `full_refresh` as the project defines it, but with another executor."""
    from recsys_assets.automation.jobs import full_refresh  # noqa: PLC0415
    from recsys_assets.definitions import defs  # noqa: PLC0415  # reads the lake and the settings of the environment

    return dg.Definitions(
        assets=defs.assets,
        asset_checks=defs.asset_checks,
        jobs=[full_refresh],
        resources=defs.resources,
        executor=EXECUTORS[executor],
    ).resolve_job_def("full_refresh")


def run_job(executor: str) -> None:
    """Run the job in this process and its children.

    Raises:
        RuntimeError: a step failed.
    """
    from recsys_assets.instance import instance  # noqa: PLC0415
    from recsys_assets.runs import QUIET  # noqa: PLC0415

    job = dg.build_reconstructable_job("benchmarks.executors", "job_with", (executor,), {})
    with instance() as opened, dg.execute_job(job, instance=opened, run_config=QUIET) as result:
        if not result.success:
            raise RuntimeError(f"{executor}: {', '.join(sorted(result.get_failed_step_keys()))} failed")
    # Otherwise the server would end after this process, and the CPU time of its children would not be counted.
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # Python has no public name for it


def cost_with(executor: str) -> Cost:
    """The cost of one run in a new lake."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder, "lake")
        (lake / "raw").mkdir(parents=True)
        shutil.copy(PROJECT / "data_lake" / "raw" / f"{EMBEDDED}.zip", lake / "raw")
        settings = PROJECT / "recsys_assets" / "presets" / "smoke.yaml"
        return cost_of(["-m", "benchmarks.executors", "--one", executor, str(lake), str(settings)])


def main(arguments: list[str]) -> None:
    """Print a line per executor."""
    if arguments[:1] == ["--one"]:
        os.environ["RECSYS_LAKE"], os.environ["RECSYS_SETTINGS"] = arguments[2:]
        run_job(arguments[1])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_runs", type=int, nargs="?", default=3, help="runs with each executor")
    n_runs = parser.parse_args(arguments).n_runs
    for executor in EXECUTORS:
        costs = [cost_with(executor) for _ in range(n_runs)]
        wall, cpu = spread_of([cost.wall_s for cost in costs]), spread_of([cost.cpu_s for cost in costs])
        print(f"{executor:<15} wall {wall} s, CPU {cpu} s")


if __name__ == "__main__":
    main(sys.argv[1:])
