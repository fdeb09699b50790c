"""What the features of pairs share, each computed once."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_core.arrays import Float32s
from recsys_core.features.feature import Feature
from recsys_core.features.pairs import N_RECENT, Pairs, dots, latest
from recsys_core.features.registry import features_of
from tests.core.features.asked import Asked, equal, normal, pairs_of, random_side, side_of
from tests.core.worlds import histories_from

OF_THE_LIST = {"pair_retrieval_rank", "pair_retrieval_z"}
"""What depends on the user's other candidates, as the docstring of `Pairs` says."""


def latest_of(users: list[list[int]], n: int) -> list[list[int]]:
    histories = histories_from([[(item, 5.0, at) for at, item in enumerate(user)] for user in users], 9)
    return latest(histories.item_idx, histories.offsets, n).tolist()


def test_the_latest_come_newest_first_and_end_with_the_history() -> None:
    assert latest_of([[3, 1], [], [0, 2, 1]], 2) == [[1, 3], [-1, -1], [1, 2]]
    assert latest_of([[], []], 2) == [[-1, -1], [-1, -1]]
    assert latest_of([], 2) == []


def test_only_the_latest_ratings_are_recent() -> None:
    pairs = pairs_of(
        [[(item, 5.0, item) for item in range(7)], [(3, 1.0, 1)], []], [[0], [0], [0]], side_of([[1.0]] * 7)
    )
    assert pairs.recent.tolist() == [[6, 5, 4, 3, 2], [3, -1, -1, -1, -1], [-1] * N_RECENT]
    assert pairs.n_recent.ravel().tolist() == pytest.approx([5, 1, np.nan], nan_ok=True)


def test_cosines_are_those_of_the_vectors_and_never_leave_their_bounds() -> None:
    rng = np.random.default_rng(0)
    side = random_side(40, rng)
    pairs = pairs_of([[(item, 3.0, item) for item in range(5)]], [list(range(40))], side)
    trained = side.learned.trained.astype(float)
    unit = trained / np.linalg.norm(trained, axis=1, keepdims=True)
    np.testing.assert_allclose(pairs.recent_cosines[0], unit @ unit[[4, 3, 2, 1, 0]].T, atol=1e-6)
    assert np.abs(pairs.recent_cosines).max() <= 1
    parallel = pairs_of([[(0, 3.0, 0)]], [[0, 1]], side_of([[0.1, 0.7], [0.3, 2.1]]))
    assert parallel.recent_cosines[0, :, 0].max() <= 1


def test_a_feature_is_computed_once_and_may_be_read_by_others() -> None:
    calls = []

    def pair_of_nothing(pairs: Pairs) -> Float32s:
        calls.append(pairs)
        return np.zeros(pairs.item_idx.shape, dtype=np.float32)

    one = Feature(
        function=pair_of_nothing,
        entity="user-item",
        unit="x",
        low=None,
        high=None,
        sources=("a.b",),
        default=0.0,
        may_be_missing=False,
        max_age_days=None,
        owner="nobody",
    )
    pairs = pairs_of([[]], [[0]], side_of([[1.0]]))
    assert pairs.value(one) is pairs.value(one)
    assert calls == [pairs]
    replace(pairs, _values={}).value(one)
    assert len(calls) == 2


@pytest.mark.parametrize("d", [1, 9, 17, 128])
def test_a_dot_product_has_the_same_bits_in_any_company(d: int) -> None:
    rng = np.random.default_rng(d)
    vectors, users = normal(rng, 20, 50, d), normal(rng, 20, d)
    together = dots(vectors, users)
    np.testing.assert_allclose(together, np.einsum("ucd,ud->uc", vectors.astype(float), users), atol=1e-4)
    for user in range(20):
        for places in (slice(0, 50), slice(3, 11), slice(7, 8)):
            assert equal(dots(vectors[[user], places], users[[user]])[0], together[user, places])


def test_no_value_depends_on_other_users(asked_of_people: Asked) -> None:
    together = asked_of_people.pairs
    for row in range(0, asked_of_people.users.n_users, 7):
        alone, present = asked_of_people.only([row]).pairs, together.is_candidate[row]
        for one in features_of("user-item"):
            assert equal(alone.value(one)[0, present], together.value(one)[row, present]), one.name


@pytest.mark.parametrize("places", [slice(0, 1), slice(3, 4), slice(2, 9), slice(None, None, -1)])
def test_no_value_but_rank_and_standardised_score_depends_on_other_candidates(asked: Asked, places: slice) -> None:
    together, fewer = asked.pairs, asked.only(range(asked.users.n_users), places).pairs
    differing = {
        one.name
        for one in features_of("user-item")
        if not equal(fewer.value(one)[fewer.is_candidate], together.value(one)[:, places][fewer.is_candidate])
    }
    assert differing <= OF_THE_LIST
    assert differing, "so that the measure sees what does depend on them"


def test_an_item_means_the_same_wherever_it_stands_in_the_catalogue(asked: Asked) -> None:
    """Values are looked up by number: none comes from the neighbour."""
    pairs = asked.pairs
    for one in features_of("user-item"):
        if one.name in OF_THE_LIST:
            continue
        repeated = np.repeat(asked.item_idx[:, [1]], 4, axis=1)
        found = replace(asked, item_idx=repeated).pairs.value(one)
        assert equal(found, np.repeat(pairs.value(one)[:, [1]], 4, axis=1)), one.name
