"""An answer in words."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.errors import UnknownUserError
from recsys_core.features.registry import FEATURE_NAMES, FEATURES
from recsys_core.retrieval.model import rating_vectors, user_vectors
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.explanations import (
    NO_REASON,
    Reason,
    Recommendation,
    describe,
    in_words,
    parts_of_scores,
    rated_by,
    reasons,
    titles_of,
)
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Rated, Request
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


def test_values_and_base_sum_to_the_score(recommender: Recommender) -> None:
    """Whoever read the values alone could not tell what they were counted from."""
    for place in described(recommender):
        assert sum(place.contributions.values()) + place.base == pytest.approx(place.score, abs=1e-4)


def test_reasons_are_told_in_words_where_they_are_asked_for(recommender: Recommender) -> None:
    answer = answered(recommender, 14, 5)
    assert {(place.because, place.reasons) for place in describe(recommender.bundle, answer)} == {("", ())}
    reasons = recommender.reasons(answer)
    places = describe(recommender.bundle, answer, reasons)
    assert [place.reasons for place in places] == reasons
    titles = titles_of(recommender.bundle.movies)
    assert all(titles[place.reasons[0].item_id] in place.because for place in places if place.reasons)
    assert any(place.reasons for place in places)


def test_what_a_user_rated_comes_latest_first_with_titles(tiny: TinyRun) -> None:
    ratings = tiny.ratings.with_columns(event_id=pl.lit(None, pl.String))
    gone = ratings.filter(user_id=14)["item_id"][0]
    rated = rated_by(ratings, tiny.movies.filter(pl.col("item_id") != gone), 14)
    assert rated.columns == ["item_id", "title", "year", "rating", "timestamp", "event_id"]
    assert sorted(rated["item_id"]) == sorted(ratings.filter(user_id=14)["item_id"])
    assert rated["timestamp"].is_sorted(descending=True)
    assert rated.filter(item_id=gone)["title"].to_list() == [None]
    assert rated["title"].null_count() == 1


def test_a_user_without_ratings_is_refused_with_the_ids_that_there_are(tiny: TinyRun) -> None:
    known = tiny.ratings["user_id"]
    with pytest.raises(UnknownUserError, match=f"no user 999 has rated anything: ids run from {known.min()} to"):
        rated_by(tiny.ratings, tiny.movies, 999)


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
    everything = recommender.somebody_who_likes(tiny.model.catalogue.item_ids.tolist(), now)
    answer = recommender.answer(Request(request_id="r", history=everything, requested_at=now))
    assert describe(recommender.bundle, answer) == []


SCORE = FEATURE_NAMES.index("pair_retrieval_score")


def asked(recommender: Recommender, user_id: int | None = 14, history: tuple[Rated, ...] = ()) -> Answer:
    return recommender.answer(
        Request(request_id="r", user_id=user_id, history=history, requested_at=recommender.now, k=12)
    )


def reason(item_id: int, rating: float = 5.0, lift: float = 1.0) -> Reason:
    return Reason(item_id=item_id, rating=rating, timestamp=0, lift=lift)


def test_the_parts_of_all_ratings_and_what_belongs_to_none_sum_to_the_score_that_the_ranker_read(
    recommender: Recommender,
) -> None:
    answer, generator = asked(recommender), recommender.bundle.generator
    user = recommender.users.state_before(14, recommender.now).histories
    item_idx = generator.model.catalogue.idx_of(answer.item_ids)
    parts = parts_of_scores(generator, user, item_idx)
    assert parts.shape == (12, len(user.item_idx))
    shared = user_vectors(generator.model, user)[0] - rating_vectors(generator.model, user).sum(axis=0)
    of_nobody = generator.retriever.item_vectors[item_idx] @ shared
    assert parts.sum(axis=1) + of_nobody == pytest.approx(answer.features[:, SCORE], abs=1e-4)
    assert shared[generator.layout.trained] == pytest.approx(generator.model.user_encoder.everyone, abs=1e-5)
    assert shared[generator.layout.ease] == pytest.approx(0, abs=1e-5)


def test_lifts_are_against_the_mean_candidate_and_come_strongest_first(recommender: Recommender) -> None:
    generator = recommender.bundle.generator
    user = recommender.users.state_before(14, recommender.now).histories
    every = np.arange(generator.model.catalogue.n_items)
    found = reasons(generator, user, every, every)
    parts = parts_of_scores(generator, user, every).astype(np.float64)
    lifts = parts - parts.mean(axis=0)
    for own, named in zip(lifts, found, strict=True):
        assert [one.lift for one in named] == pytest.approx(sorted(own[own > 0], reverse=True), abs=1e-6)
    item_ids = generator.model.catalogue.item_ids[user.item_idx].tolist()
    stars = dict(zip(item_ids, zip(user.ratings.tolist(), user.timestamps.tolist(), strict=True), strict=True))
    assert all((one.rating, one.timestamp) == stars[one.item_id] for named in found for one in named)


def test_somebody_of_whom_nothing_is_known_gets_no_invented_reason(recommender: Recommender) -> None:
    answer = asked(recommender, None)
    assert recommender.reasons(answer) == [()] * 12
    assert in_words((), {}) == NO_REASON


def test_reasons_are_put_into_words() -> None:
    titles = {1: "Alien (1979)", 2: "Heat (1995)"}
    assert in_words([reason(1)], titles) == "because you liked Alien (1979)"
    assert in_words([reason(1), reason(2, lift=0.5)], titles) == "because you liked Alien (1979) and Heat (1995)"
    mixed = [reason(1, rating=1.0), reason(2, lift=0.9)]
    assert in_words(mixed, titles) == "because you liked Heat (1995) and rated Alien (1979) 1 star"
    assert in_words([reason(1, rating=3.5)], titles) == "because you rated Alien (1979) 3.5 stars"
    assert in_words([reason(3)], titles) == "because you liked movie 3"


def test_at_most_two_are_named_and_none_that_carried_little() -> None:
    titles = {one: str(one) for one in range(9)}
    three = [reason(one, lift=1.0) for one in (1, 2, 3)]
    assert in_words(three, titles) == "because you liked 1 and 2"
    assert in_words([reason(1), reason(2, lift=0.29)], titles) == "because you liked 1"


def test_reasons_follow_what_the_request_knew(recommender: Recommender) -> None:
    """A rating that came with the request speaks too; one of a later second does not."""
    now = recommender.now
    later = Rated(item_id=5_000, rating=5.0, timestamp=now)
    with_like = asked(recommender, None, recommender.somebody_who_likes([5_007], now))
    assert {one.item_id for named in recommender.reasons(with_like) for one in named} == {5_007}
    only_later = replace(with_like, request=replace(with_like.request, history=(later,)))
    assert recommender.reasons(only_later) == [()] * 12
