"""Pieces of work that need nothing of each other, several at a time.

They run on threads of one process: for work inside libraries that let go of the interpreter meanwhile, as torch and
XGBoost do. Where each piece keeps to one thread, its result has the same bits whatever else runs, and no thread waits
for another: a training on two threads takes many times as long as soon as something else wants a core.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

Result = TypeVar("Result")

Check = Callable[[], None]
"""To be called now and then: raises `Stopped` where the result is not wanted any more."""

POLL_S = 0.2
"""How often the caller looks up from waiting. Polars handles an interrupt so that the system goes on with a wait for a
lock: without a limit, Ctrl-C would be heard only when all is done."""


class Stopped(Exception):  # noqa: N818  # nothing is wrong with what was stopped
    """Another piece of work failed, or somebody interrupted all."""


def side_by_side(tasks: Sequence[Callable[[Check], Result]], at_once: int) -> list[Result]:
    """The results of some tasks, in their order.

    Where a task fails or the caller is interrupted, no other begins any more, and those under way end at their next
    check; only then the exception is passed on.

    Args:
        tasks: what to do; each is given a check.
        at_once: at most so many run at a time.
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
            return [future.result() for future in futures if future in done]  # raises what the first failed with
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
