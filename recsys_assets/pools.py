"""What must not happen twice at the same time on one machine.

A pool is declared with the asset. Dagster's queue then starts no run that needs a pool while another run holds it, and
so does not keep a process waiting. That covers runs from the UI; the lock here also covers `recsys refresh`, which runs
assets without a queue.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys_core.lake import locks

TRAINING = "training"
"""Assets that keep several cores busy for long: two at a time would take longer than one after the other."""

REFRESH = "refresh"
"""The job that brings everything up to date."""

ALL = (TRAINING, REFRESH)

POLL_S = 0.2


@contextmanager
def alone(lake_root: Path, pool: str, tell: Callable[[], None]) -> Iterator[None]:
    """Hold a pool of the lake; waits for whoever holds it, and is interrupted by Ctrl-C meanwhile.

    Not re-entrant. The lock is dropped when its holder dies.

    Args:
        lake_root: the folder of the lake.
        pool: its name.
        tell: called once where one has to wait.
    """
    folder = lake_root / "locks" / f"{pool}@"  # no asset's name contains @
    folder.mkdir(parents=True, exist_ok=True)
    lock = locks.try_folder(folder)
    if lock is None:
        tell()
    while lock is None:
        time.sleep(POLL_S)
        lock = locks.try_folder(folder)
    try:
        yield
    finally:
        locks.release(lock)
