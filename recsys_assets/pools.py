"""Pools: work that must not run twice at the same time on one machine.

A pool is declared with the asset. Dagster's queue then starts no run that needs a pool while another run holds it, so
no process has to wait. That covers runs from the UI. The lock here also covers `recsys refresh`, which runs assets
without a queue.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys_core.lake import locks

TRAINING = "training"
"""Assets that use several cores for long: two at a time would take longer than one after the other."""

REFRESH = "refresh"
"""The job that brings everything up to date."""

ALL = (TRAINING, REFRESH)

POLL_S = 0.2


@contextmanager
def hold(lake_root: Path, pool: str, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold a pool of the lake; waits until its current holder releases it, and Ctrl-C interrupts the wait.

    Not re-entrant. The lock is released when its holder dies.

    Args:
        lake_root: the folder of the lake.
        pool: its name.
        on_wait: called once if another process holds the pool.
    """
    folder = lake_root / "locks" / f"{pool}@"  # no asset's name contains @
    folder.mkdir(parents=True, exist_ok=True)
    lock = locks.try_folder(folder)
    if lock is None:
        on_wait()
    while lock is None:
        time.sleep(POLL_S)
        lock = locks.try_folder(folder)
    try:
        yield
    finally:
        locks.release(lock)
