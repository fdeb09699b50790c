"""Interrupts that are not lost.

Python raises an interrupt wherever the main thread is just then. In a callback of the garbage collector, which runs
often while libraries are imported, it is only printed and forgotten, and whoever pressed *Terminate* waits in vain.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_S = 4.0
"""How long an interrupt has to end the block before it is sent again."""


@contextmanager
def insistent_interrupts() -> Iterator[None]:
    """An interrupt that does not end the block is sent again until one does; in the main thread alone."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    ended = threading.Event()

    def send_again() -> None:
        if not ended.wait(AGAIN_S):
            os.kill(os.getpid(), signal.SIGINT)

    def heard(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=send_again, daemon=True).start()
        before(number, frame)

    signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        ended.set()
        signal.signal(signal.SIGINT, before)
