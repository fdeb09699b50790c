"""How long an answer takes, from the request to the rows that are logged of it."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from recsys_core.serving.bundle import Bundle
from recsys_core.serving.logging import impression_records, request_record
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Request

WARM_UP = 20
"""Answers that are not counted: the first ones load code and fill caches."""


def latencies_ms(bundle: Bundle, requests: Iterable[Request], clock: Callable[[], float]) -> npt.NDArray[np.float64]:
    """Milliseconds of each answer after the first `WARM_UP`, asked one after the other in one thread.

    Args:
        bundle: what answers.
        requests: what is asked.
        clock: seconds; core reads none itself.
    """
    recommender, taken = Recommender(bundle=bundle), []
    for request in requests:
        started = clock()
        answer = recommender.answer(request)
        request_record(answer, bundle.release, 0)
        impression_records(answer, bundle.release, 0)
        taken.append(1000 * (clock() - started))
    return np.array(taken[WARM_UP:])
