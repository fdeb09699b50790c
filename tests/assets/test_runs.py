"""An interrupt that gets lost comes again, and one that is heard comes once."""

import gc
import os
import signal
import sys
import time
import weakref

import pytest

from recsys_assets import runs
from recsys_assets.runs import resend_lost_interrupts


class Thing:
    """Something that can be collected."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_lost_in_a_callback_of_the_collector_comes_again() -> None:
    lost = []

    def callback(_: object) -> None:
        lost.append(True)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # here it is raised, and printed

    def collect() -> None:
        with resend_lost_interrupts():
            thing = Thing()
            watched = weakref.ref(thing, callback)
            del thing
            gc.collect()
            assert watched() is None
            time.sleep(5)

    before = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt):
        collect()
    assert lost == [True]
    assert sys.unraisablehook is before


def test_an_interrupt_that_is_heard_leaves_the_block_all_the_time_it_needs_to_end() -> None:
    ended = []

    def interrupted() -> None:
        with resend_lost_interrupts():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(5)
            finally:
                time.sleep(5 * runs.RESEND_S)
                ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended == [True]
