"""Every answer after the first ones is timed, by the clock that is given."""

import itertools

import pytest

from recsys_core.serving.bundle import Bundle
from recsys_core.serving.latency import WARM_UP, latencies_ms
from recsys_core.serving.requests import Request
from tests import tiny_world


def test_each_answer_is_timed_by_the_clock_that_is_given(bundle: Bundle) -> None:
    ticks = itertools.chain.from_iterable((n, n + 0.001 * (n + 1)) for n in itertools.count())
    asked = [
        Request(request_id=str(n), user_id=int(tiny_world.USER_IDS[n % 5]), requested_at=4_000_000_000)
        for n in range(WARM_UP + 3)
    ]
    expected = [WARM_UP + 1, WARM_UP + 2, WARM_UP + 3]
    assert latencies_ms(bundle, asked, lambda: next(ticks)).tolist() == pytest.approx(expected)


def test_too_few_requests_give_no_figure(bundle: Bundle) -> None:
    asked = [Request(request_id="one", requested_at=4_000_000_000)]
    assert latencies_ms(bundle, asked, lambda: 0.0).tolist() == []
