"""Interrupts that are not lost.

Python raises an interrupt wherever the main thread is just then. In a callback of the garbage collector, which runs
often while libraries are imported, it is only printed and forgotten, and whoever pressed *Terminate* waits in vain.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

AGAIN_S = 0.1
"""How long until a lost interrupt is sent again: by then Python has left the callback."""


@contextmanager
def insistent_interrupts() -> Iterator[None]:
    """An interrupt that Python printed and forgot is sent again, until it is heard."""
    before = sys.unraisablehook

    def told(lost: "sys.UnraisableHookArgs") -> None:
        before(lost)
        if issubclass(lost.exc_type, KeyboardInterrupt | dg.DagsterExecutionInterruptedError):
            # From a thread: it would be raised in this very callback otherwise, and lost once more.
            threading.Timer(AGAIN_S, os.kill, (os.getpid(), signal.SIGINT)).start()

    sys.unraisablehook = told
    try:
        yield
    finally:
        sys.unraisablehook = before
