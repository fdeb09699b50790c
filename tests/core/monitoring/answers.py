"""Answers of a release, as the log would hold them."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE
from recsys_core.monitoring.served import Served
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.logging import impression_records, request_record
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Request


def until_the(n: int, bundle: Bundle) -> Bundle:
    """The release when no more than n ratings have come since its cut-off: fewer requests of the past."""
    ordered = bundle.ratings.sort("timestamp", maintain_order=True)
    n_learned = ordered.filter(pl.col("timestamp") < bundle.proposer.tower.fit_end).height
    return replace(bundle, ratings=ordered.head(n_learned + n))


def served_to(recommender: Recommender, requests: Sequence[Request]) -> Served:
    """Answered one after the other, each logged in the second in which it was asked."""
    release, asked, shown = recommender.bundle.release, [], []
    for request in requests:
        answer = recommender.answer(request)
        asked.append(request_record(answer, release, request.requested_at * 1_000_000))
        shown += impression_records(answer, release, request.requested_at * 1_000_000)
    return Served(requests=REQUESTS_TABLE.frame(asked), impressions=IMPRESSIONS_TABLE.frame(shown))
