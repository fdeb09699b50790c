"""Features of a user and a candidate: the retrieval score, part by part. Other groups have test files of their own."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_core.features.pairs import Pairs
from recsys_core.features.registry import features_of
from recsys_core.features.user_item import (
    pair_closed_form_score,
    pair_retrieval_rank,
    pair_retrieval_score,
    pair_retrieval_z,
    pair_trained_score,
    pair_trend_score,
)
from tests.core.features.asked import Asked, no_user_parts, pairs_of, side_of
from tests.core.worlds import histories_from

THREE = side_of([[0.0], [1.0], [3.0]])


def scoring(scores: list[float], item_idx: list[int] | None = None) -> Pairs:
    """One user, to whom the items score as said, by the tower alone."""
    side = side_of([[score] for score in scores])
    nothing = no_user_parts(histories_from([[]], len(scores)), side)
    user_parts = replace(nothing, trained=np.ones((1, 1), dtype=np.float32))
    return pairs_of([[]], [list(range(len(scores))) if item_idx is None else item_idx], side, user_parts)


def test_numbers_by_hand() -> None:
    """Each part asks for something else of the same item."""
    learned = replace(
        THREE.learned,
        trained=np.array([[1, 2]] * 3, dtype=np.float32),
        biases=np.array([0.5, 0, 0], dtype=np.float32),
        target_factors=np.array([[3]] * 3, dtype=np.float32),
        trend=np.array([[4, 5]] * 3, dtype=np.float32),
    )
    user_parts = replace(
        no_user_parts(histories_from([[]], 3), THREE),
        trained=np.array([[10, 1]], dtype=np.float32),
        ease=np.array([[-2]], dtype=np.float32),
        trend=np.array([[0, 1]], dtype=np.float32),
    )
    pairs = pairs_of([[]], [[0, 1]], replace(THREE, learned=learned), user_parts)
    assert pairs.value(pair_trained_score).tolist() == [[12.5, 12]]
    assert pairs.value(pair_closed_form_score).tolist() == [[-6, -6]]
    assert pairs.value(pair_trend_score).tolist() == [[5, 5]]
    assert pairs.value(pair_retrieval_score).tolist() == [[11.5, 11]]
    assert pairs.value(pair_retrieval_rank).tolist() == [[1, 2]]
    assert pairs.value(pair_retrieval_z).tolist() == [[pytest.approx(1), pytest.approx(-1)]]


def test_the_parts_sum_to_the_whole(asked_of_people: Asked) -> None:
    pairs = asked_of_people.pairs
    parts = [pairs.value(one).astype(float) for one in (pair_trained_score, pair_closed_form_score, pair_trend_score)]
    np.testing.assert_allclose(sum(parts), pairs.value(pair_retrieval_score), atol=1e-5)


def test_the_standardised_score_has_mean_zero_and_deviation_one(asked_of_people: Asked) -> None:
    pairs = asked_of_people.pairs
    z = np.where(pairs.is_candidate, pairs.value(pair_retrieval_z), np.nan).astype(float)
    np.testing.assert_allclose(np.nanmean(z, axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(z, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("scores", [[2.0, 2.0, 2.0], [7.0]])
def test_equal_scores_say_nothing(scores: list[float]) -> None:
    assert scoring(scores).value(pair_retrieval_z).tolist() == [[0.0] * len(scores)]


def test_absent_candidates_do_not_shift_the_standardised_score() -> None:
    """Where there is no candidate, the last item of the catalogue is looked up: here one that scores like no other."""
    pairs = scoring([3.0, 1.0, 1e6], [0, 1, -1, -1])
    assert pairs.value(pair_retrieval_z)[0, :2].tolist() == [1.0, -1.0]


def test_a_request_without_any_candidate_is_no_fault() -> None:
    assert np.isfinite(scoring([3.0, 1.0], [-1, -1]).value(pair_retrieval_z)).all()


def test_an_empty_history_is_scored_like_any_other(asked: Asked) -> None:
    """What all users share, the latest trend and the biases are known of somebody new too."""
    nobody = replace(asked.only([1]).pairs, users=pairs_of([[]], [[0]], asked.side).users, _values={})
    scores = features_of("user-item")[:6]
    assert scores[-1].name == "pair_trend_score"
    for one in scores:
        assert np.isfinite(nobody.value(one)).all(), one.name
