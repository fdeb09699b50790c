"""How benchmarks measure: the cost of a process, and the spread of repeated measurements."""

import os
import statistics
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
    """What a process took: wall time, CPU time and peak memory.

    CPU time depends less than wall time on other work of the machine. On Linux the peak includes the memory of the
    process that started this one, so measure from a small process.
    """

    wall_s: float
    cpu_s: float
    peak_gb: float


def cost_of(arguments: Sequence[str]) -> Cost:
    """Run this Python with arguments, in the folder of the project; its standard output is discarded.

    Raises:
        RuntimeError: it failed; its message has been printed.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
    # wait4 returns the usage of this child alone; getrusage sums all children so far.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: see its message above")
    return Cost(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_gb=usage.ru_maxrss * BYTES_PER_UNIT / 1e9)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Median, minimum and maximum of repeated measurements; one slow run would dominate a mean."""

    median: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f}, n={self.n})"


def spread_of(values: Sequence[float]) -> Spread:
    """The spread of some measurements.

    Raises:
        statistics.StatisticsError: there are no values.

    >>> print(spread_of([3.0, 1.0, 2.0]))
    2.00 (1.00 to 3.00, n=3)
    """
    return Spread(median=statistics.median(values), low=min(values), high=max(values), n=len(values))
