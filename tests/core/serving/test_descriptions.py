"""An answer in words."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.features.registry import FEATURE_NAMES, FEATURES
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.descriptions import Recommendation, describe
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Request
from tests.core.worlds import N_CANDIDATES, TinyRun


def answered(recommender: Recommender, user_id: int, k: int) -> Answer:
    return recommender.answer(Request(request_id="r", user_id=user_id, requested_at=recommender.now, k=k))


def described(recommender: Recommender, user_id: int = 14, k: int = 12) -> list[Recommendation]:
    return describe(recommender.bundle, answered(recommender, user_id, k))


def test_the_places_are_those_of_the_answer(recommender: Recommender) -> None:
    answer = answered(recommender, 14, 12)
    places = describe(recommender.bundle, answer)
    assert [place.rank for place in places] == list(range(1, 13))
    assert [place.item_id for place in places] == answer.item_ids.tolist()
    assert [place.score for place in places] == answer.scores.tolist()
    assert [place.retrieval_rank for place in places] == answer.retrieval_ranks.tolist()


def test_every_place_explains_itself(tiny: TinyRun, recommender: Recommender) -> None:
    base = tiny.ranker.contributions(np.full((1, len(FEATURE_NAMES)), np.nan, dtype=np.float32))[0, -1]
    for place in described(recommender):
        assert tuple(place.features) == tuple(place.contributions) == FEATURE_NAMES
        assert place.features["pair_retrieval_rank"] == place.retrieval_rank
        assert sum(place.contributions.values()) + base == pytest.approx(place.score, abs=1e-3)
        for one in FEATURES:
            value = place.features[one.name]
            assert (one.may_be_missing and np.isnan(value)) or (
                (one.low is None or value >= one.low) and (one.high is None or value <= one.high)
            )


def test_every_place_says_how_likely_a_like_is_in_the_order_of_the_scores(
    tiny: TinyRun, recommender: Recommender
) -> None:
    assert tiny.ranker.calibration is not None
    places = described(recommender)
    scores = np.array([place.score for place in places])
    assert [place.probability for place in places] == tiny.ranker.calibration.probability(scores).tolist()
    assert sorted(places, key=lambda place: -(place.probability or 0)) == places


def test_a_ranker_without_calibration_gives_the_same_answer_without_probabilities(bundle: Bundle) -> None:
    plain = described(Recommender(bundle=replace(bundle, ranker=replace(bundle.ranker, calibration=None))))
    assert {place.probability for place in plain} == {None}
    assert [place.item_id for place in plain] == [place.item_id for place in described(Recommender(bundle=bundle))]


def test_titles_genres_and_years_come_from_the_movie_table(tiny: TinyRun, recommender: Recommender) -> None:
    about = {row["item_id"]: row for row in tiny.movies.iter_rows(named=True)}
    for place in described(recommender, 17, N_CANDIDATES):
        row = about[place.item_id]
        assert (place.title, place.year, place.genres) == (row["title"], row["year"], row["genres"])


def test_a_movie_that_the_table_lacks_keeps_its_place_without_a_title(bundle: Bundle) -> None:
    best = described(Recommender(bundle=bundle), 17, 1)[0]
    without = replace(bundle, movies=bundle.movies.filter(pl.col("item_id") != best.item_id))
    again = described(Recommender(bundle=without), 17, 1)[0]
    assert (again.item_id, again.title, again.year, again.genres) == (best.item_id, "", None, [])


def test_an_empty_answer_has_no_places(tiny: TinyRun, recommender: Recommender) -> None:
    """That of somebody who has rated the whole catalogue."""
    now = recommender.now
    everything = recommender.somebody_who_likes(tiny.tower.catalogue.item_ids.tolist(), now)
    answer = recommender.answer(Request(request_id="r", history=everything, requested_at=now))
    assert describe(recommender.bundle, answer) == []
