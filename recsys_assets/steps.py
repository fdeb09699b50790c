"""What every step of a run is wrapped in: failures that name their remedy, and interrupts that are not lost."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from recsys_core.errors import RecsysError, machine_errors_explained

RESEND_S = 0.1
"""Delay before a lost interrupt is sent again: long enough for Python to leave the callback that lost it."""


@contextmanager
def failures_with_remedy() -> Iterator[None]:
    """Turn a `RecsysError` into a failure of the step, described by the sentence that the command line would print.

    Raises:
        dg.Failure: caused by the `RecsysError`. The UI shows its description first, not below a traceback. Dagster
            does not retry, since it would meet the same problem.
    """
    try:
        with machine_errors_explained():
            yield
    except RecsysError as problem:
        raise dg.Failure(description=str(problem), allow_retries=False) from problem


@contextmanager
def resend_lost_interrupts() -> Iterator[None]:
    """Send an interrupt again if Python printed and dropped it, until one is raised.

    Python raises an interrupt wherever the main thread is at that moment. In a callback of the garbage collector, which
    runs often while libraries are imported, Python only prints the exception. *Terminate* in the UI would then have no
    effect.
    """
    before = sys.unraisablehook

    def resend(lost: "sys.UnraisableHookArgs") -> None:
        before(lost)
        if issubclass(lost.exc_type, KeyboardInterrupt | dg.DagsterExecutionInterruptedError):
            # From a thread: sent from here, it would be raised in this same callback and lost again.
            threading.Timer(RESEND_S, os.kill, (os.getpid(), signal.SIGINT)).start()

    sys.unraisablehook = resend
    try:
        yield
    finally:
        sys.unraisablehook = before
