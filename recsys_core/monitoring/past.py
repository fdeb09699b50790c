"""A release asked about the past: requests that are like real ones before there are any."""

from dataclasses import replace

from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE
from recsys_core.monitoring.served import Served
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.logging import impression_records, request_record
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Rated, Request


def serve_past(bundle: Bundle, k: int, max_requests: int) -> Served:
    """What a release would have shown, had it been asked just before each of the latest ratings.

    These ratings are played back in the order of time: before each, its user asks; after it, the release has taken it
    in, and what it showed. So states follow people rating by rating, as in a service. Nobody clicks, and nothing of the
    event log was shown here. The models have learned from these very ratings: what is shown says how answers are
    computed, not how good they are.

    Args:
        bundle: the release.
        k: slots per answer.
        max_requests: how many ratings are played back.
    """
    ordered = bundle.ratings.sort("timestamp", maintain_order=True)
    before, played = ordered.head(-max_requests), ordered.tail(max_requests)
    recommender = Recommender(bundle=replace(bundle, ratings=before))
    requests, impressions = [], []
    rows = played.select("user_id", "item_id", "rating", "timestamp")
    for n, (user_id, item_id, stars, timestamp) in enumerate(rows.iter_rows()):
        answer = recommender.answer(Request(request_id=f"past-{n:07}", user_id=user_id, requested_at=timestamp, k=k))
        requests.append(request_record(answer, bundle.release, timestamp * 1_000_000))
        impressions += impression_records(answer, bundle.release, timestamp * 1_000_000)
        recommender.observe(user_id, answer.as_shown(timestamp))
        recommender.observe(user_id, Rated(item_id=item_id, rating=stars, timestamp=timestamp))
    return Served(requests=REQUESTS_TABLE.frame(requests), impressions=IMPRESSIONS_TABLE.frame(impressions))
