"""Negatives: what is drawn, what was to be expected, and whose own it is."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_core.data.histories import Histories
from recsys_core.retrieval.examples import Examples, denoising, temporal
from recsys_core.retrieval.losses import Negatives, sampler_of
from tests.core.worlds import histories_from, pairs_of, random_histories


def busy_users(seed: int, n_users: int = 30, n_items: int = 25) -> Histories:
    users = random_histories(seed, n_users, n_items)
    return users.select(np.flatnonzero(users.lengths >= 2))


def drawn_of(users: Histories, examples: Examples, seed: int = 0, n: int = 50) -> Negatives:
    return sampler_of(users, n).draw(examples, np.random.default_rng(seed))


def test_the_share_of_an_item_gives_each_user_one_vote() -> None:
    users = histories_from([[(0, 5.0, 1), (1, 5.0, 2)], [(1, 1.0, 1), (2, 5.0, 2), (3, 5.0, 3), (4, 5.0, 4)]], 6)
    assert sampler_of(users, 4).share.tolist() == [1 / 4, 3 / 8, 1 / 8, 1 / 8, 1 / 8, 0]


def test_what_is_expected_by_hand() -> None:
    """Two users of three: whoever keeps the first one company has item 2."""
    users = histories_from([[(0, 5.0, 1), (1, 5.0, 2)], [(2, 5.0, 1), (3, 5.0, 2)], [(2, 5.0, 1), (4, 5.0, 2)]], 5)
    examples = Examples(inputs=histories_from([[], []], 5), targets=users.select(np.array([0, 1])))
    negatives = sampler_of(users, 5).with_expectations(examples, np.array([2, 3, 2, 0]), np.array([4]))
    assert negatives.item_idx.tolist() == [0, 2, 3, 4]
    assert negatives.n_drawn.tolist() == [1, 2, 1, 1]
    # Half of four draws are of the other user, who has item 2 for sure, half of whose ratings it is: 1. Plus 1 in 5.
    assert negatives.n_expected[1] == pytest.approx(1 + 1 / 5)
    assert negatives.n_expected[2:] == pytest.approx([1 / 2 + 1 / 5, 1 / 2 + 1 / 5])
    assert negatives.is_own.tolist() == [[True, False, False, False], [False, True, True, False]]


@pytest.mark.slow
def test_items_are_drawn_as_often_as_is_expected_of_them() -> None:
    """Over many batches, for a user who has not rated the item: times drawn over times expected is 1 for each item."""
    users, rng = busy_users(0), np.random.default_rng(1)
    sampler, ratios = sampler_of(users, 40), np.zeros((users.n_users, users.n_items))
    rounds = 3000
    met = np.zeros(users.n_users)
    for _ in range(rounds):
        rows = np.sort(rng.permutation(users.n_users)[:6])
        negatives = sampler.draw(denoising(users.select(rows), rng), rng)
        ratios[np.ix_(rows, negatives.item_idx)] += negatives.n_drawn / negatives.n_expected
        met[rows] += 1
    ratios /= met[:, None]
    foreign = np.ones_like(ratios, dtype=bool)
    foreign[users.rows, users.item_idx] = False
    assert ratios[foreign].mean() == pytest.approx(1, abs=0.01)
    assert abs(ratios[foreign] - 1).max() < 0.35


@pytest.mark.parametrize("seed", range(10))
def test_hits_are_all_that_the_user_rated_and_nothing_else(seed: int) -> None:
    users = busy_users(seed)
    batch = users.select(np.arange(0, users.n_users, 2))
    negatives = drawn_of(users, temporal(batch, np.random.default_rng(seed)), seed)
    rows, places = np.nonzero(negatives.is_own)
    found = set(zip(rows.tolist(), negatives.item_idx[places].tolist(), strict=True))
    assert found == {(row, item) for row, item in pairs_of(batch) if item in set(negatives.item_idx.tolist())}


@pytest.mark.parametrize("seed", range(10))
def test_shown_asked_and_later_are_the_whole_history_once(seed: int) -> None:
    users = busy_users(seed)
    examples = temporal(users, np.random.default_rng(seed))
    negatives = drawn_of(users, examples, seed)
    later = list(zip(negatives.later_rows.tolist(), negatives.later_items.tolist(), strict=True))
    parts = [*pairs_of(examples.inputs), *pairs_of(examples.targets), *later]
    assert len(parts) == len(set(parts))
    assert set(parts) == pairs_of(users)
    assert len(drawn_of(users, denoising(users, np.random.default_rng(seed)), seed).later_items) == 0


@pytest.mark.parametrize("seed", range(5))
def test_what_was_rated_later_and_is_unborn_is_not_in_the_sum(seed: int) -> None:
    """Neither loss counts it: somebody who was first to rate an item could not have been offered it before."""
    users = busy_users(seed)
    examples = temporal(users, np.random.default_rng(seed))
    first = np.zeros(users.n_items, dtype=np.int64)
    np.maximum.at(first, users.item_idx, users.timestamps)
    first[::2] = 0  # every other item was there from the beginning, the rest came late
    timed = replace(examples, first_rated_at=first)
    plain, kept = (drawn_of(users, one, seed) for one in (examples, timed))
    pairs = list(zip(plain.later_rows.tolist(), plain.later_items.tolist(), strict=True))
    last = [max(examples.targets.timestamps[examples.targets.rows == row], default=0) for row in range(users.n_users)]
    expected = [(row, item) for row, item in pairs if first[item] <= last[row]]
    assert list(zip(kept.later_rows.tolist(), kept.later_items.tolist(), strict=True)) == expected
    assert 0 < len(expected) < len(pairs)
    assert kept.item_idx.tolist() == plain.item_idx.tolist(), "what is drawn depends on no time"


def test_every_draw_is_counted_and_an_item_that_nobody_rated_can_be_drawn() -> None:
    users = histories_from([[(0, 5.0, 1), (1, 5.0, 2)], [(1, 5.0, 1), (2, 5.0, 2)]], 40)
    examples = denoising(users, np.random.default_rng(0))
    negatives = drawn_of(users, examples, n=200)
    assert negatives.n_drawn.sum() == 200
    assert (np.diff(negatives.item_idx) > 0).all()
    assert negatives.item_idx.max() > 2
    assert (negatives.n_expected > 0).all()


def test_the_same_generator_gives_the_same_draws() -> None:
    users = busy_users(3)
    examples = denoising(users, np.random.default_rng(0))
    one, two, other = (drawn_of(users, examples, seed) for seed in (5, 5, 6))
    assert one.item_idx.tolist() == two.item_idx.tolist() != other.item_idx.tolist()
    assert one.n_drawn.tolist() == two.n_drawn.tolist()
