"""An interrupt that gets lost comes again, and one that is heard comes once."""

import gc
import os
import signal
import time
import weakref

import pytest

from recsys_assets import interrupts
from recsys_assets.interrupts import insistent_interrupts


class Thing:
    """Something that can be collected."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_lost_in_a_callback_of_the_collector_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "AGAIN_S", 0.2)
    lost = []

    def callback(_: object) -> None:
        lost.append(True)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # here it is raised, and printed

    def collect() -> None:
        with insistent_interrupts():
            thing = Thing()
            watched = weakref.ref(thing, callback)
            del thing
            gc.collect()
            assert watched() is None
            time.sleep(5)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        collect()
    assert lost == [True]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_that_ends_the_block_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "AGAIN_S", 0.1)

    def interrupted() -> None:
        with insistent_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    time.sleep(0.3)
