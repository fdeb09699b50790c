"""Held-out ratings -> a simulated event log: users ask, look, click, and give their real ratings.

The ratings are real: user, item, stars and time. Everything that a data set of ratings lacks is simulated, with named
probabilities: when users ask (at the start of a session, and at times within it), which places of an answer they look
at (the probability falls with the place, as in the position-based model; Joachims et al. 2017,
doi:10.1145/3018661.3018699), and what they click (mostly items that they rated later). Some events arrive late and some
twice, as in any log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from recsys_core.days import DAY_S
from recsys_core.errors import DataError
from recsys_core.feedback.records import Event, Impression, RequestRecord
from recsys_core.seeding import child
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.logging import LoggedSession
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Clicked, Rated, Request

SESSION_GAP_S = 1_800
"""A longer pause between two ratings begins a new session."""

RATED_PER_ANSWER = 10
"""After this number of ratings in one session the user asks again."""

ASKED_BEFORE_S = 60
"""Seconds between a request and the rating that follows it."""

LOOKING_EXPONENT = 0.7
"""Place k is looked at with probability k^-LOOKING_EXPONENT."""

CLICKS_WANTED, CLICKS_OTHER = 0.9, 0.02
"""Probability of a click on a place that was looked at: for an item that the user rated later, and for any other."""

SHARE_LATE, SHARE_TWICE = 0.05, 0.03
MOST_DAYS_LATE = 3


@dataclass(frozen=True, kw_only=True)
class DemoLog:
    """The rows of the log: requests and impressions in the order of time, events in the order of arrival."""

    requests: list[RequestRecord]
    impressions: list[Impression]
    events: list[Event]


def demo_log(bundle: Bundle, held: pl.DataFrame, k: int = 10, seed: int = 17) -> DemoLog:
    """Simulate the log of a release and its users while these ratings were given.

    The same release, ratings and seed give the same rows, so appending them twice does no harm. Another release gives
    other answers, so its requests have other ids; the ratings keep their ids, and each still counts once.

    Args:
        bundle: the release that answers; it knows none of the ratings yet.
        held: RATINGS later than all that the release knows.
        k: slots per answer.
        seed: of everything that is simulated.

    Raises:
        DataError: the release already knows some of these ratings.
    """
    _refuse_known(bundle, held)
    session, rng = LoggedSession(recommender=Recommender(bundle=bundle)), child(seed, "demonstration")
    events: list[Event] = []
    latest: dict[int, Answer] = {}
    for user_id, item_id, stars, timestamp, asks in _played(held):
        if asks:
            request_id = f"demo-{bundle.release[:8]}-{len(session.requests):06}"
            at = timestamp - ASKED_BEFORE_S
            answer = session.answer(Request(request_id=request_id, user_id=user_id, requested_at=at, k=k))
            latest[user_id] = answer
            for click in _clicks(answer, _wanted(held, user_id, timestamp), rng):
                events.append(click)
                session.recommender.observe(user_id, Clicked(item_id=click.item_id, timestamp=click.timestamp))
        session.recommender.observe(user_id, Rated(item_id=item_id, rating=stars, timestamp=timestamp))
        events.append(
            Event(
                event_id=f"demo-rating-{user_id}-{item_id}",
                request_id=_request_of(latest[user_id], item_id),
                user_id=user_id,
                item_id=item_id,
                kind="rating",
                value=stars,
                timestamp=timestamp,
                received_at=timestamp + 1,
            )
        )
    return DemoLog(requests=session.requests, impressions=session.impressions, events=_as_they_arrive(events, rng))


def _refuse_known(bundle: Bundle, held: pl.DataFrame) -> None:
    known = bundle.ratings.join(held, on=["user_id", "item_id", "timestamp"], how="semi").height
    if known:
        raise DataError(
            f"the release knows {known:,} of the {held.height:,} ratings that are to be replayed: build it without "
            "them first (`recsys --settings FILE run`, with base_ratings.hold_back_from in the file)"
        )


def _played(held: pl.DataFrame) -> Iterator[tuple[int, int, float, int, bool]]:
    """user_id, item_id, rating, timestamp of each rating in order, and whether its user asks before it."""
    ordered = held.sort("timestamp", "user_id", "item_id")
    since = pl.col("timestamp").diff().over("user_id")
    begins = since.is_null() | (since > SESSION_GAP_S)
    session = begins.cum_sum().over("user_id")
    place = pl.int_range(pl.len()).over("user_id", session)
    asks = place % RATED_PER_ANSWER == 0
    yield from ordered.select("user_id", "item_id", "rating", "timestamp", asks=asks).iter_rows()


def _wanted(held: pl.DataFrame, user_id: int, since: int) -> set[int]:
    return set(held.filter(pl.col("user_id") == user_id, pl.col("timestamp") >= since)["item_id"])


def _clicks(answer: Answer, wanted: set[int], rng: np.random.Generator) -> list[Event]:
    """The clicks on an answer, seconds after it, from the first place down."""
    events = []
    request = answer.request
    for position, item_id in enumerate(answer.item_ids.tolist(), start=1):
        is_seen = rng.random() < position**-LOOKING_EXPONENT
        is_clicked = rng.random() < (CLICKS_WANTED if item_id in wanted else CLICKS_OTHER)
        if is_seen and is_clicked and request.user_id is not None:
            at = request.requested_at + 2 + 3 * position
            events.append(
                Event(
                    event_id=f"{request.request_id}-click-{position}",
                    request_id=request.request_id,
                    user_id=request.user_id,
                    item_id=item_id,
                    kind="click",
                    value=None,
                    timestamp=at,
                    received_at=at + 1,
                )
            )
    return events


def _request_of(answer: Answer, item_id: int) -> str | None:
    """The request after which an item was rated: the latest, if it showed the item."""
    return answer.request.request_id if item_id in answer.item_ids else None


def _as_they_arrive(events: list[Event], rng: np.random.Generator) -> list[Event]:
    """The events in the order of arrival: some days late, some twice."""
    arrived = []
    for event in events:
        late_s = int(rng.integers(1, MOST_DAYS_LATE + 1)) * DAY_S if rng.random() < SHARE_LATE else 0
        came = replace(event, received_at=event.received_at + late_s)
        arrived += [came, replace(came, received_at=came.received_at + 30)] if rng.random() < SHARE_TWICE else [came]
    return sorted(arrived, key=lambda one: (one.received_at, one.event_id))
