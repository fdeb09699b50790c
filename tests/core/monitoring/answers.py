"""Answers of a release, as the log would hold them."""

from collections.abc import Sequence

from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE
from recsys_core.monitoring.served import Served
from recsys_core.serving.logging import impression_records, request_record
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Request


def served_to(recommender: Recommender, requests: Sequence[Request]) -> Served:
    """Answered one after the other, each logged in the second in which it was asked, and seen by who asked."""
    release, asked, shown = recommender.bundle.release, [], []
    for request in requests:
        answer = recommender.answer(request)
        asked.append(request_record(answer, release, request.requested_at * 1_000_000))
        shown += impression_records(answer, release, request.requested_at * 1_000_000)
        if request.user_id is not None:
            recommender.observe(request.user_id, answer.as_shown(request.requested_at))
    return Served(requests=REQUESTS_TABLE.frame(asked), impressions=IMPRESSIONS_TABLE.frame(shown))
