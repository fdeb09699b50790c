"""Cosines of a candidate with what was rated last."""

import numpy as np
import pytest

from recsys_core.features.pairs import N_RECENT
from recsys_core.features.similarities import pair_recent_similarity_max, pair_recent_similarity_mean
from tests.core.features.asked import Asked, pairs_of, side_of
from tests.core.worlds import Rating

NAN = float("nan")
VECTORS = [[2.0, 0], [0, 3.0], [-1, 0], [0.6, 0.8]]


def features_of(history: list[Rating], candidates: list[int]) -> tuple[list[float], list[float]]:
    """Mean and highest of each candidate."""
    pairs = pairs_of([history], [candidates], side_of(VECTORS))
    found = [pairs.value(one)[0].tolist() for one in (pair_recent_similarity_mean, pair_recent_similarity_max)]
    return found[0], found[1]


def test_numbers_by_hand() -> None:
    mean, highest = features_of([(0, 4.0, 1), (1, 5.0, 2), (3, 1.0, 3)], [1, 3, 0])
    assert mean == pytest.approx([1.8 / 3, 2.4 / 3, 1.6 / 3])
    assert highest == pytest.approx([1, 1, 1])


def test_the_opposite_is_minus_one_and_not_missing() -> None:
    mean, highest = features_of([(0, 5.0, 1)], [2])
    assert mean == highest == [-1.0]


def test_an_empty_history_is_near_to_nothing_that_is_known() -> None:
    mean, highest = features_of([], [0, 1])
    assert np.isnan([mean, highest]).all()


def test_only_the_latest_ratings_count() -> None:
    side = side_of([[1, 0]] * 6 + [[0, 1]])
    pairs = pairs_of([[(item, 5.0, item) for item in range(7)]], [[6]], side)
    assert pairs.value(pair_recent_similarity_mean).item() == pytest.approx(1 / N_RECENT)


def test_they_agree_with_the_slow_loop(asked_of_people: Asked) -> None:
    pairs, unit = asked_of_people.pairs, asked_of_people.side.unit_vectors.astype(float)
    histories = pairs.users.histories
    for row in range(0, histories.n_users, 5):
        own = histories.item_idx[histories.offsets[row] : histories.offsets[row + 1]][-N_RECENT:]
        for place, item in enumerate(pairs.item_idx[row].tolist()):
            if item >= 0:
                cosines = (unit[own] @ unit[item]).tolist()
                expected = [sum(cosines) / len(cosines), max(cosines)] if cosines else [NAN, NAN]
                found = [
                    pairs.value(one)[row, place].item()
                    for one in (pair_recent_similarity_mean, pair_recent_similarity_max)
                ]
                assert found == pytest.approx(expected, abs=1e-5, nan_ok=True)
