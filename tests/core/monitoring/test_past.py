"""A release is asked about the past as a service would be: in the order of time, knowing what came before."""

import itertools
from dataclasses import replace

import numpy as np
import polars as pl

from recsys_core.data.ratings_table import every_rating
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.exposures import Exposed, shown_slots
from recsys_core.feedback.schemas import IMPRESSIONS, REQUESTS
from recsys_core.monitoring.past import serve_past
from recsys_core.monitoring.served import Served
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.exposures import observations
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Request
from tests.core.monitoring.conftest import N_PLAYED


def latest(bundle: Bundle, n: int) -> pl.DataFrame:
    return bundle.ratings.sort("timestamp", maintain_order=True).tail(n)


def test_before_each_of_the_latest_ratings_its_user_asks(release: Bundle, past: Served) -> None:
    since = latest(release, N_PLAYED)
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
    """A state that was moved on by each rating, and one that is counted from all of them as of the request.

    The one that knows everything was told of all slots at once, those of later requests among them.
    """
    shown_then = observations(replace(Exposed.nothing(), shown=shown_slots(past.impressions)))
    for asked in past.requests.sort("request_id").gather_every(9).iter_rows(named=True):
        fresh = Recommender(bundle=release)
        for user_id, what in shown_then:
            fresh.observe(user_id, what)
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
    again = latest(release, 1).with_columns(pl.col("timestamp") + 60, rating=pl.lit(0.5, pl.Float32))
    twice = replace(release, ratings=every_rating(release.ratings, again))
    once, both = serve_past(release, 3, 20), serve_past(twice, 3, 21)
    assert both.requests.head(20).drop("release").equals(once.requests.drop("release"))
    assert both.requests["requested_at"].to_list()[-2:] == [again["timestamp"].item() - 60, again["timestamp"].item()]
    assert both.impressions.height == 63


def test_without_a_rating_nothing_is_asked(release: Bundle) -> None:
    served = serve_past(replace(release, ratings=release.ratings.clear()), 10, N_PLAYED)
    assert served.requests.is_empty()
    assert served.impressions.is_empty()
    assert served.features().shape == (0, len(FEATURE_NAMES))


def test_the_release_is_left_as_it_was(release: Bundle) -> None:
    ratings, features = release.ratings.clone(), release.generator.items.features.copy()
    first, second = (serve_past(release, 5, 40) for _ in range(2))
    assert release.ratings.equals(ratings)
    assert np.array_equal(release.generator.items.features, features, equal_nan=True)
    assert first.impressions.equals(second.impressions)


def test_no_more_is_played_back_than_asked_for_and_it_is_the_latest(release: Bundle) -> None:
    """The same answers, whether those before were played back as well or were known at once.

    But for what was shown in those that were played back.
    """
    others = [at for at, name in enumerate(FEATURE_NAMES) if name != "pair_shown_unclicked"]
    more, fewer = serve_past(release, 5, 27), serve_past(release, 5, 7)
    asked = ("user_id", "requested_at", "k")
    assert fewer.requests.select(asked).equals(more.requests.select(asked).tail(7))
    shown = ("item_id", "position", "score")
    assert fewer.impressions.select(shown).equals(more.impressions.select(shown).tail(35))
    assert np.array_equal(fewer.features()[:, others], more.features()[-35:, others], equal_nan=True)
    assert not np.array_equal(fewer.features(), more.features()[-35:], equal_nan=True)


def test_more_than_there_are_ratings_plays_them_all(release: Bundle) -> None:
    few = replace(release, ratings=latest(release, 12))
    assert serve_past(few, 5, 1_000).requests.height == 12
