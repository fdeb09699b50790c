"""States that follow users: whatever the order in which ratings arrive, the same bits as counted from the history."""

from collections.abc import Sequence
from dataclasses import fields, replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.histories import Histories
from recsys_core.features.item_inputs import ItemInputs
from recsys_core.features.state import DISLIKED, UserStates, state_without_ratings, user_states, with_rating
from tests.core.features.asked import random_side, side_of
from tests.core.worlds import Rating, histories_from, random_histories

N_ITEMS = 12
SIDE = random_side(N_ITEMS, np.random.default_rng(0))
HAND = side_of(
    [[1, 0], [0, 1], [-1, 0], [0.5, 0.5]], shares=[[1, 0], [0.5, 0.5], [0, 0], [0, 1]], years=[1990, 2000, 2010, 2020]
)

STARS = st.sampled_from([half / 2 for half in range(1, 11)])
ARRIVALS = st.lists(st.tuples(st.integers(-1, N_ITEMS - 1), STARS, st.integers(0, 9)), max_size=30)
"""Ratings as they arrive: some late, some of one second, many of an item that was rated before, some of no item."""


def folded(arrivals: Sequence[Rating], side: ItemInputs = SIDE) -> UserStates:
    state = state_without_ratings(side, user_id=100)
    for item, stars, timestamp in arrivals:
        state = with_rating(state, side, item, stars, timestamp)
    return state


def final(arrivals: Sequence[Rating]) -> list[Rating]:
    """The history that is left, one arrival at a time: of each item the latest, of equal times the last to come."""
    kept: dict[int, Rating] = {}
    for item, stars, timestamp in arrivals:
        if item >= 0 and (item not in kept or kept[item][2] <= timestamp):
            kept[item] = (item, stars, timestamp)
    return sorted(kept.values(), key=lambda one: (one[2], one[0]))


def afresh(*users: Sequence[Rating], side: ItemInputs = SIDE) -> UserStates:
    return user_states(histories_from(users, len(side.n_ratings)), side)


def differing(one: UserStates, other: UserStates) -> list[str]:
    """The parts that differ in a bit, a type or a shape."""
    found = []
    for part, whole in ((Histories, "histories"), (UserStates, None)):
        a, b = (getattr(state, whole) if whole else state for state in (one, other))
        for field in fields(part):
            x, y = getattr(a, field.name), getattr(b, field.name)
            if isinstance(x, np.ndarray) and not (x.dtype == y.dtype and np.array_equal(x, y)):
                found.append(field.name)
    return found


@given(ARRIVALS)
def test_folded_rating_by_rating_in_any_order_it_equals_the_final_history_to_the_bit(arrivals: list[Rating]) -> None:
    assert differing(folded(arrivals), afresh(final(arrivals))) == []


@given(ARRIVALS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter_where_no_item_is_rated_twice_in_a_second(
    arrivals: list[Rating], rng: Random
) -> None:
    once = list({(item, timestamp): (item, stars, timestamp) for item, stars, timestamp in arrivals}.values())
    mixed = [*once]
    rng.shuffle(mixed)
    assert differing(folded(mixed), folded(once)) == []


@given(ARRIVALS)
def test_the_numbers_that_features_read_have_the_same_bits_too(arrivals: list[Rating]) -> None:
    one, other = folded(arrivals), afresh(final(arrivals))
    for mean in (UserStates.mean_liked, UserStates.mean_disliked, UserStates.mean_liked_genres):
        assert mean(one).dtype == np.float32
        assert np.array_equal(mean(one), mean(other), equal_nan=True)
    assert [getattr(one.sums(SIDE), f.name) for f in fields(one.sums(SIDE))] == [
        getattr(other.sums(SIDE), f.name) for f in fields(other.sums(SIDE))
    ]


def test_of_equal_times_the_second_to_come_counts_and_an_older_one_changes_nothing() -> None:
    for second, kept in (((3, 1.0, 5), 1.0), ((3, 1.0, 6), 1.0), ((3, 1.0, 4), 5.0)):
        assert folded([(3, 5.0, 5), second]).histories.ratings.tolist() == [kept]


def test_a_rating_outside_the_catalogue_changes_nothing() -> None:
    state = folded([(3, 5.0, 5)])
    assert with_rating(state, SIDE, -1, 5.0, 6) is state


def test_following_leaves_the_state_before_as_it_was() -> None:
    """The states of earlier requests may still be read."""
    before = folded([(3, 5.0, 5), (4, 1.0, 6)])
    again = folded([(3, 5.0, 5), (4, 1.0, 6)])
    with_rating(with_rating(before, SIDE, 3, 1.0, 9), SIDE, 7, 5.0, 2)
    assert differing(before, again) == []


def test_numbers_by_hand() -> None:
    """Likes of items 0 and 1, a shrug for 3, dislikes of 2 and none else."""
    state = afresh([(0, 4.0, 1), (1, 5.0, 2), (3, 3.0, 3), (2, DISLIKED, 4)], side=HAND)
    assert state.totals.tolist() == [[4, 2, 8 + 10 + 6 + 5, 40, 2, 1990 + 2000]]
    assert (state.n_disliked.tolist(), state.n_genred.tolist()) == ([1], [2])
    assert state.mean_liked().tolist() == [[0.5, 0.5]]
    assert state.mean_disliked().tolist() == [[-1, 0]]
    assert state.mean_liked_genres().tolist() == [[0.75, 0.25]]
    assert state.sums(HAND).all_ratings == 40


def test_a_liked_item_without_genres_does_not_dilute_them() -> None:
    assert afresh([(0, 5.0, 1), (2, 5.0, 2)], side=HAND).mean_liked_genres().tolist() == [[1, 0]]


def test_without_such_ratings_a_mean_is_missing_not_zero() -> None:
    shrugs = afresh([(0, 3.0, 1)], [], side=HAND)
    for mean in (shrugs.mean_liked(), shrugs.mean_disliked(), shrugs.mean_liked_genres()):
        assert mean.shape == (2, 2)
        assert np.isnan(mean).all()


def test_means_are_those_of_the_slow_loop_to_float_precision() -> None:
    users = random_histories(3, n_users=30, n_items=N_ITEMS)
    found = user_states(users, SIDE).mean_liked()
    for row in range(users.n_users):
        own = slice(users.offsets[row], users.offsets[row + 1])
        liked = users.item_idx[own][users.ratings[own] >= 4]
        expected = SIDE.learned.history_factors[liked].astype(float).mean(axis=0) if len(liked) else np.full(9, np.nan)
        np.testing.assert_allclose(found[row], expected, rtol=1e-6, atol=1e-7)


def test_a_user_alone_has_the_bits_of_the_batch() -> None:
    users = random_histories(4, n_users=40, n_items=N_ITEMS)
    together = user_states(users, SIDE)
    for row in range(users.n_users):
        alone = user_states(users.select(np.array([row])), SIDE)
        for field in fields(UserStates):
            if field.name != "histories":
                assert np.array_equal(getattr(alone, field.name)[0], getattr(together, field.name)[row]), field.name


@pytest.mark.parametrize("n_users", [0, 3])
def test_of_nobody_there_are_shapes_all_the_same(n_users: int) -> None:
    state = afresh(*[[]] * n_users)
    assert state.totals.shape == (n_users, 6)
    assert state.liked.shape == (n_users, SIDE.learned.history_factors.shape[1])
    assert not state.totals.any()


def test_nobody_is_the_state_of_an_empty_history() -> None:
    assert differing(state_without_ratings(SIDE, user_id=100), afresh([])) == []
    assert differing(state_without_ratings(SIDE), replace(state_without_ratings(SIDE), n_genred=np.array([1]))) == [
        "n_genred"
    ]
