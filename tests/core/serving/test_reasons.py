"""Reasons are parts of the retrieval score itself."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.retrieval.vectors import rating_vectors, user_vectors
from recsys_core.serving.reasons import NO_REASON, Reason, in_words, parts_of_scores, reasons
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Rated, Request

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
    assert shared[generator.parts.trained] == pytest.approx(generator.model.user_encoder.everyone, abs=1e-5)
    assert shared[generator.parts.closed_form] == pytest.approx(0, abs=1e-5)


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
