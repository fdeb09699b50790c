"""A release is asked about the past as a service would be: in the order of time, knowing what came before."""

import itertools

import numpy as np
import polars as pl

from recsys_core.data.merging import every_rating
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.schemas import IMPRESSIONS, REQUESTS
from recsys_core.monitoring.past import serve_past
from recsys_core.monitoring.served import Served
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Request
from tests.core.monitoring.answers import until_the


def since_the_cutoff(bundle: Bundle) -> pl.DataFrame:
    since = bundle.ratings.filter(pl.col("timestamp") >= bundle.proposer.tower.fit_end)
    return since.sort("timestamp", maintain_order=True)


def test_before_each_rating_since_the_cutoff_its_user_asks(release: Bundle, past: Served) -> None:
    since = since_the_cutoff(release)
    assert (
        past.requests.sort("request_id").select("user_id", "requested_at").rows()
        == since.select("user_id", "timestamp").rows()
    )
    assert past.requests["request_id"].is_unique().all()
    assert set(past.requests["release"]) == {release.release}
    assert past.requests["served_at"].to_list() == [1_000_000 * at for at in past.requests["requested_at"]]
    assert set(past.requests["k"]) == {10}
    assert past.requests["history"].null_count() == past.requests.height


def test_what_is_served_is_fit_for_the_log(past: Served) -> None:
    REQUESTS.validate(past.requests)
    IMPRESSIONS.validate(past.impressions)
    shown = past.impressions.group_by("request_id").agg(pl.col("position").sort())
    assert shown["position"].to_list() == [list(range(1, 11))] * past.requests.height


def test_what_follows_people_rating_by_rating_answers_as_one_that_knows_everything(
    release: Bundle, past: Served
) -> None:
    """A state that was moved on by each rating, and one that is counted from all of them as of the request."""
    for asked in past.requests.sort("request_id").gather_every(9).iter_rows(named=True):
        fresh = Recommender(bundle=release)
        request = Request(request_id="r", user_id=asked["user_id"], requested_at=asked["requested_at"], k=asked["k"])
        answer = fresh.answer(request)
        shown = past.impressions.filter(request_id=asked["request_id"]).sort("position")
        assert shown["item_id"].to_list() == answer.item_ids.tolist()
        assert shown["features"].to_list() == [row.tobytes() for row in answer.features]


def test_people_are_followed_from_request_to_request(release: Bundle, past: Served) -> None:
    """Of one user, requests in later seconds know more, those of one second the same."""
    n_ratings, known = FEATURE_NAMES.index("user_n_ratings"), past.impressions.filter(position=1)
    counted = known.with_columns(n=pl.Series(past.features()[::10, n_ratings])).sort("request_id")
    n_new = 0
    for own in counted.partition_by("user_id"):
        for before, after in itertools.pairwise(own.iter_rows(named=True)):
            same_second = before["requested_at"] == after["requested_at"]
            assert after["n"] == before["n"] if same_second else after["n"] > before["n"]
            n_new += not same_second
    assert n_new > 50


def test_nobody_is_shown_what_they_have_rated(release: Bundle, past: Served) -> None:
    rated = past.impressions.join(release.ratings, on=["user_id", "item_id"])
    assert rated.height
    assert (rated["timestamp"] >= rated["requested_at"]).all()


def test_a_second_rating_of_an_item_is_a_request_of_its_own(release: Bundle) -> None:
    bundle = until_the(20, release)
    again = since_the_cutoff(bundle).tail(1).with_columns(pl.col("timestamp") + 60, rating=pl.lit(0.5, pl.Float32))
    twice = every_rating(bundle.ratings, again)
    served = serve_past(Bundle(**{**vars(bundle), "ratings": twice}), 3)
    assert served.requests.height == 21
    assert served.impressions.height == 63


def test_without_a_rating_since_the_cutoff_nothing_is_asked(release: Bundle) -> None:
    served = serve_past(until_the(0, release), 10)
    assert served.requests.is_empty()
    assert served.impressions.is_empty()
    assert served.features().shape == (0, len(FEATURE_NAMES))


def test_the_release_is_left_as_it_was(release: Bundle) -> None:
    ratings, features = release.ratings.clone(), release.proposer.side.features.copy()
    first, second = (serve_past(until_the(40, release), 5) for _ in range(2))
    assert release.ratings.equals(ratings)
    assert np.array_equal(release.proposer.side.features, features, equal_nan=True)
    assert first.impressions.equals(second.impressions)


def test_no_more_is_played_back_than_asked_for_and_the_earliest_first(release: Bundle) -> None:
    whole, part = serve_past(release, 5), serve_past(release, 5, 7)
    assert part.requests.height == 7
    assert part.requests.equals(whole.requests.head(7))
