"""Run independent tasks in parallel on threads of one process.

Threads are enough for work inside libraries that release the interpreter lock, such as torch and XGBoost. Give each
task one thread of its own: its result then has the same bits whatever else runs, and no thread waits for another. A
training on two threads takes many times as long as soon as something else needs a core.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

Result = TypeVar("Result")

StopCheck = Callable[[], None]
"""Called by a task every now and then; raises `Stopped` when the result is no longer wanted."""

POLL_S = 0.2
"""Longest wait between two looks at the tasks. Polars handles an interrupt in a way that lets the system go on waiting
for a lock: without a limit, Ctrl-C would take effect only after all tasks have ended."""


class Stopped(Exception):  # noqa: N818  # the task that was stopped is not at fault
    """Another task failed, or the caller was interrupted."""


def run_in_parallel(tasks: Sequence[Callable[[StopCheck], Result]], at_once: int) -> list[Result]:
    """The results of some tasks, in the order of the tasks.

    If a task fails or the caller is interrupted, no further task starts and running tasks end at their next check. The
    exception is raised after that.

    Args:
        tasks: each is called with a check.
        at_once: largest number of tasks that run at the same time.
    """
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Stopped

    with ThreadPoolExecutor(at_once) as pool:
        try:
            futures = [pool.submit(task, check) for task in tasks]
            done, pending = wait(futures, POLL_S, FIRST_EXCEPTION)
            while pending and not any(future.exception() for future in done):
                done, pending = wait(futures, POLL_S, FIRST_EXCEPTION)
            return [future.result() for future in futures if future in done]  # raises the first failure
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
