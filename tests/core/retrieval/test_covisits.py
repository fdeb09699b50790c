"""What follows what: counted by hand, by a slow loop, and in the order of time alone."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from recsys_core.data.histories import Histories
from recsys_core.retrieval.covisits import N_KEPT, SHRINK, WINDOW, fit_covisits
from tests.core.worlds import histories_from, random_histories


def slowly(users: Histories) -> Counter[tuple[int, int]]:
    """How often the second item came within the window after the first."""
    counts: Counter[tuple[int, int]] = Counter()
    for row in range(users.n_users):
        own = slice(users.offsets[row], users.offsets[row + 1])
        rated = list(zip(users.item_idx[own].tolist(), users.timestamps[own].tolist(), strict=True))
        for at, (item, second) in enumerate(rated):
            for other, later in rated[at + 1 : at + 1 + WINDOW]:
                counts[item, other] += 0.5 if later == second else 1
                counts[other, item] += 0.5 if later == second else 0
    return counts


def test_a_sequel_by_hand() -> None:
    """Ten people rate 1 right after 0; nobody the other way round; 2 was never rated."""
    users = histories_from([[(0, 5.0, 10), (1, 4.0, 20)]] * 10, n_items=3)
    lifts = fit_covisits(users).matrix.toarray()
    assert lifts[0, 1] == pytest.approx(10 * 20 / (WINDOW * (10 + SHRINK) ** 2))
    assert np.count_nonzero(lifts) == 1
    assert fit_covisits(users).reverse.toarray()[1, 0] == lifts[0, 1]


def test_the_order_within_a_second_means_nothing() -> None:
    one = fit_covisits(histories_from([[(0, 5.0, 10), (1, 4.0, 10), (2, 3.0, 11)]], n_items=3)).matrix.toarray()
    other = fit_covisits(histories_from([[(1, 4.0, 10), (0, 5.0, 10), (2, 3.0, 11)]], n_items=3)).matrix.toarray()
    assert np.array_equal(one, other)
    assert one[0, 1] == one[1, 0] == one[0, 2] / 2 > 0


@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_the_slow_loop(seed: int) -> None:
    users = random_histories(seed, n_users=30, n_items=40)
    n = np.bincount(users.item_idx, minlength=users.n_items) + SHRINK
    expected = np.zeros((users.n_items, users.n_items))
    for (first, second), count in slowly(users).items():
        expected[first, second] = count * len(users.item_idx) / (WINDOW * n[first] * n[second])
    np.testing.assert_allclose(fit_covisits(users).matrix.toarray(), expected, rtol=1e-5)


def test_only_the_strongest_followers_of_an_item_are_kept() -> None:
    n_items = N_KEPT + 60
    once = [[(0, 5.0, 10), (item, 5.0, 20)] for item in range(1, n_items)]
    twice = [[(0, 5.0, 10), (item, 5.0, 20)] for item in range(100, n_items)]
    made = fit_covisits(histories_from(once + twice, n_items))
    kept = made.followers[made.offsets[0] : made.offsets[1]]
    assert len(kept) == N_KEPT
    assert set(range(100, n_items)) <= set(kept.tolist()), "what followed twice goes before what followed once"
    assert np.array_equal(np.sort(kept), kept)


@pytest.mark.parametrize("users", [[], [[]], [[(0, 5.0, 1)]], [[(0, 5.0, 1)], [(1, 5.0, 1)]]])
def test_where_nothing_follows_there_is_nothing(users: list[list[tuple[int, float, int]]]) -> None:
    made = fit_covisits(histories_from(users, n_items=2))
    assert made.offsets.tolist() == [0, 0, 0]
    assert made.matrix.shape == made.reverse.shape == (2, 2)


def test_one_user_does_not_follow_another() -> None:
    users = histories_from([[(0, 5.0, 1)], [(1, 5.0, 2)]], n_items=2)
    assert not fit_covisits(users).matrix.nnz
    assert fit_covisits(replace(users, offsets=np.array([0, 0, 2]))).matrix.nnz
