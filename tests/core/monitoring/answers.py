"""Answers of a release, as the log would hold them."""

from collections.abc import Sequence

from recsys_core.monitoring.served import Served, served_in
from recsys_core.serving.logging import LoggedSession
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Request


def served_to(recommender: Recommender, requests: Sequence[Request]) -> Served:
    """Answered one after the other, each logged in the second in which it was asked, and seen by who asked."""
    session = LoggedSession(recommender=recommender)
    for request in requests:
        session.answer(request)
    return served_in(session)
