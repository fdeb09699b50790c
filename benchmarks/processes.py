"""A process of its own, and what it cost."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import PROJECT

BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024
"""getrusage counts memory in bytes on macOS and in kilobytes elsewhere."""

OURS = ("RECSYS_", "DAGSTER_")
"""Environment variables that would send the process to another lake or to other settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a process took; wall time depends on what else the machine does, CPU time does so less.

    The peak is never below what the starting process held, which Linux counts in: measure from a small process.
    """

    wall_s: float
    cpu_s: float
    peak_gb: float


def cost_of(arguments: Sequence[str]) -> Cost:
    """Run this Python with some arguments in the folder of the project, its standard output thrown away.

    Raises:
        RuntimeError: it failed; its message has been printed.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
    # wait4 tells what this one child used; getrusage would sum up all children so far.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: see its message above")
    return Cost(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_gb=usage.ru_maxrss * BYTES_PER_UNIT / 1e9)
