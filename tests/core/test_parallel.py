"""Several pieces of work at a time: results in order, and nothing goes on when one fails or somebody interrupts."""

import signal
import threading
import time
from functools import partial

import pytest

from recsys_core.parallel import StopCheck, Stopped, run_in_parallel

LONG_S = 30.0
"""What no test waits for: it passes only where a piece of work that should have been stopped was not."""


def until_stopped(check: StopCheck, stopped: list[str], begun: threading.Event) -> None:
    """Work that ends at a check alone."""
    begun.set()
    try:
        for _ in range(int(LONG_S / 0.01)):
            check()
            time.sleep(0.01)
    except Stopped:
        stopped.append("in time")
        raise


def test_results_come_in_the_order_of_the_tasks_whichever_ends_first() -> None:
    first_may_end = threading.Event()

    def first(_: StopCheck) -> str:
        assert first_may_end.wait(LONG_S)
        return "first"

    def second(_: StopCheck) -> str:
        first_may_end.set()
        return "second"

    assert run_in_parallel([first, second], at_once=2) == ["first", "second"]


def test_two_at_once_meet_and_one_at_once_never_does() -> None:
    running, most = [], []
    meeting = threading.Barrier(2)

    def meet(_: StopCheck, *, someone: bool) -> None:
        running.append(1)
        most.append(len(running))
        if someone:
            meeting.wait(LONG_S)
        running.pop()

    run_in_parallel([partial(meet, someone=True)] * 2, at_once=2)
    assert max(most) == 2
    most.clear()
    run_in_parallel([partial(meet, someone=False)] * 5, at_once=1)
    assert most == [1] * 5


def test_where_one_fails_the_others_stop_and_no_other_begins() -> None:
    stopped: list[str] = []
    begun, never = threading.Event(), threading.Event()

    def fail(_: StopCheck) -> None:
        assert begun.wait(LONG_S)
        raise ValueError("no like to learn from")

    def begin(_: StopCheck) -> None:
        never.set()

    with pytest.raises(ValueError, match="no like"):
        run_in_parallel([partial(until_stopped, stopped=stopped, begun=begun), fail, *[begin] * 3], at_once=2)
    assert stopped == ["in time"]
    assert not never.is_set()


def test_an_interrupt_of_the_caller_stops_all_and_is_passed_on() -> None:
    stopped: list[str] = []
    begun = threading.Event()

    def interrupt(check: StopCheck) -> None:
        assert begun.wait(LONG_S)
        time.sleep(0.5)  # the caller has begun all by now, and waits
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        until_stopped(check, stopped, begun)

    with pytest.raises(KeyboardInterrupt):
        run_in_parallel([partial(until_stopped, stopped=stopped, begun=begun), interrupt], at_once=2)
    assert stopped == ["in time"] * 2


def test_nothing_to_do_gives_nothing() -> None:
    assert run_in_parallel([], at_once=2) == []
