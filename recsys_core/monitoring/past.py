"""A release asked about the past: requests that are like real ones before there are any."""

from dataclasses import replace

import polars as pl

from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE
from recsys_core.monitoring.served import Served
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.logging import impression_records, request_record
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Rated, Request


def serve_past(bundle: Bundle, k: int, max_requests: int | None = None) -> Served:
    """What a release would have shown, had it been asked just before each rating that came after its cut-off.

    The ratings since the cut-off are played back in the order of time: before each, its user asks; after it, the
    release has taken it in. So states follow people rating by rating, as in a service, over all that is known.

    Args:
        bundle: the release.
        k: slots per answer.
        max_requests: play back so many ratings, the earliest; None for all.
    """
    is_after = pl.col("timestamp") >= bundle.proposer.tower.fit_end
    recommender = Recommender(bundle=replace(bundle, ratings=bundle.ratings.filter(~is_after)))
    requests, impressions = [], []
    played = bundle.ratings.filter(is_after).select("user_id", "item_id", "rating", "timestamp")
    played = played.sort("timestamp", maintain_order=True).head(max_requests or played.height)
    for n, (user_id, item_id, stars, timestamp) in enumerate(played.iter_rows()):
        answer = recommender.answer(Request(request_id=f"past-{n:07}", user_id=user_id, requested_at=timestamp, k=k))
        requests.append(request_record(answer, bundle.release, timestamp * 1_000_000))
        impressions += impression_records(answer, bundle.release, timestamp * 1_000_000)
        recommender.observe(user_id, Rated(item_id=item_id, rating=stars, timestamp=timestamp))
    return Served(requests=REQUESTS_TABLE.frame(requests), impressions=IMPRESSIONS_TABLE.frame(impressions))
