"""Held-out ratings -> a log as it might have been: somebody asks, looks, clicks, and rates what they really rated.

The ratings are real: who, what, how many stars, and when. What a data set of ratings cannot tell is made up, with named
chances: when people came to ask (at the start of a sitting, and now and then within it), which places of an answer they
looked at (the chance falls with the place, as in the position-based model; Joachims et al. 2017,
doi:10.1145/3018661.3018699), and what they clicked (mostly what they rated later). A little arrives late, and a little
twice, as in any log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from recsys_core.days import DAY_S
from recsys_core.errors import DataError
from recsys_core.feedback.records import Event, Impression
from recsys_core.feedback.records import Request as RequestRecord
from recsys_core.seeding import child
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.logging import impression_records, request_record
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Clicked, Rated, Request

SITTING_S = 1_800
"""A longer pause between two ratings begins a new sitting."""

RATED_PER_ANSWER = 10
"""After so many ratings in one sitting the user asks again."""

ASKED_BEFORE_S = 60
"""So long before they rate, users ask."""

LOOKING_EXPONENT = 0.7
"""Place k is looked at with chance k^-this."""

CLICKS_WANTED, CLICKS_OTHER = 0.9, 0.02
"""Chance of a click on a place that was looked at: of an item that the user rated later, and of any other."""

SHARE_LATE, SHARE_TWICE = 0.05, 0.03
MOST_DAYS_LATE = 3


@dataclass(kw_only=True)
class DemoLog:
    """The rows of the log, each kind in the order of time."""

    requests: list[RequestRecord] = field(default_factory=list)
    impressions: list[Impression] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def demo_log(bundle: Bundle, held: pl.DataFrame, k: int = 10, seed: int = 17) -> DemoLog:
    """What a release and its users would have logged while these ratings were given.

    The same release, ratings and seed give the same rows, so that appending them twice does no harm. Another release
    asks under ids of its own, since its answers are others; the ratings keep theirs, and each still counts once.

    Args:
        bundle: the release that answers; it knows none of the ratings yet.
        held: RATINGS that came after all that the release knows.
        k: slots per answer.
        seed: of all that is made up.

    Raises:
        DataError: the release knows ratings of that time, so that it would be asked about what it was told.
    """
    _refuse_known(bundle, held)
    recommender, rng, log = Recommender(bundle=bundle), child(seed, "demonstration"), DemoLog()
    latest: dict[int, Answer] = {}
    for user_id, item_id, stars, timestamp, asks in _played(held):
        if asks:
            request_id = f"demo-{bundle.release[:8]}-{len(log.requests):06}"
            at = timestamp - ASKED_BEFORE_S
            answer = recommender.answer(Request(request_id=request_id, user_id=user_id, requested_at=at, k=k))
            served_at = at * 1_000_000
            log.requests.append(request_record(answer, bundle.release, served_at))
            log.impressions += impression_records(answer, bundle.release, served_at)
            clicks = _clicks(answer, _wanted(held, user_id, timestamp), rng)
            log.events += clicks
            latest[user_id] = answer
            recommender.observe(user_id, answer.as_shown(at))
            for click in clicks:
                recommender.observe(user_id, Clicked(item_id=click.item_id, timestamp=click.timestamp))
        recommender.observe(user_id, Rated(item_id=item_id, rating=stars, timestamp=timestamp))
        log.events.append(
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
    log.events = _as_they_arrive(log.events, rng)
    return log


def _refuse_known(bundle: Bundle, held: pl.DataFrame) -> None:
    known = bundle.ratings.join(held, on=["user_id", "item_id", "timestamp"], how="semi").height
    if known:
        raise DataError(
            f"the release knows {known:,} of the {held.height:,} ratings that are to be played: build it without them "
            "first (`recsys --settings FILE run`, with base_ratings.hold_back_from in the file)"
        )


def _played(held: pl.DataFrame) -> Iterator[tuple[int, int, float, int, bool]]:
    """user_id, item_id, rating, timestamp of each rating in order, and whether its user asks before it."""
    ordered = held.sort("timestamp", "user_id", "item_id")
    since = pl.col("timestamp").diff().over("user_id")
    begins = since.is_null() | (since > SITTING_S)
    sitting = begins.cum_sum().over("user_id")
    place = pl.int_range(pl.len()).over("user_id", sitting)
    asks = place % RATED_PER_ANSWER == 0
    yield from ordered.select("user_id", "item_id", "rating", "timestamp", asks=asks).iter_rows()


def _wanted(held: pl.DataFrame, user_id: int, since: int) -> set[int]:
    return set(held.filter(pl.col("user_id") == user_id, pl.col("timestamp") >= since)["item_id"])


def _clicks(answer: Answer, wanted: set[int], rng: np.random.Generator) -> list[Event]:
    """What is clicked of an answer, seconds after it, from the first place down."""
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
    """Some of them days late, some of them twice; by their arrival."""
    arrived = []
    for event in events:
        late_s = int(rng.integers(1, MOST_DAYS_LATE + 1)) * DAY_S if rng.random() < SHARE_LATE else 0
        came = replace(event, received_at=event.received_at + late_s)
        arrived += [came, replace(came, received_at=came.received_at + 30)] if rng.random() < SHARE_TWICE else [came]
    return sorted(arrived, key=lambda one: (one.received_at, one.event_id))
