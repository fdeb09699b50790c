"""Lists meet held-out items: hits, users without a list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.errors import DataError
from recsys_core.metrics.relevance import hits_of, lists_for, sets_of

WORLDS = st.lists(
    st.tuples(st.lists(st.integers(0, 12), unique=True, max_size=6), st.lists(st.integers(0, 12), unique=True)),
    min_size=1,
    max_size=8,
)


def padded(lists: list[list[int]], k: int = 6) -> np.ndarray:
    return np.array([items + [-1] * (k - len(items)) for items in lists], dtype=np.int64)


@given(WORLDS)
def test_hits_are_the_items_that_a_slow_loop_finds(world: list[tuple[list[int], list[int]]]) -> None:
    ranked, relevant = padded([items for items, _ in world]), sets_of([wanted for _, wanted in world])
    slow = [[item in wanted for item in row] for row, (_, wanted) in zip(ranked, world, strict=True)]
    np.testing.assert_array_equal(hits_of(ranked, relevant), slow)


def test_padding_never_hits_even_where_nothing_is_relevant() -> None:
    assert not hits_of(padded([[], []]), sets_of([[], []])).any()


def test_an_item_outside_the_catalogue_is_never_hit_and_still_counts() -> None:
    relevant = sets_of([[6], [-1, -1], [-1, 2]])
    ranked = padded([[6, 2], [6, 2], [6, 2]])
    assert hits_of(ranked, relevant).sum(axis=1).tolist() == [1, 0, 1]
    assert relevant.counts.tolist() == [1, 2, 2]


def test_another_users_relevant_item_is_no_hit() -> None:
    assert not hits_of(padded([[1], [2]]), sets_of([[2], [1]])).any()


@given(WORLDS, st.lists(st.integers(0, 2**63 - 1), min_size=13, max_size=13, unique=True))
def test_hits_do_not_depend_on_how_large_item_ids_are(world: list[tuple[list[int], list[int]]], ids: list[int]) -> None:
    small = padded([items for items, _ in world]), sets_of([wanted for _, wanted in world])
    large = (
        padded([[ids[one] for one in items] for items, _ in world]),
        sets_of([[ids[one] for one in wanted] for _, wanted in world]),
    )
    np.testing.assert_array_equal(hits_of(*large), hits_of(*small))


def test_one_huge_id_turns_no_miss_into_a_hit() -> None:
    """Packed as row * 2**62 + item, rows 0 and 4 are one row in 64 bits."""
    ranked, relevant = padded([[8], [], [], [], [7]]), sets_of([[7], [2**62 - 2], [], [], [9]])
    assert not hits_of(ranked, relevant).any()


def test_a_list_that_repeats_an_item_is_refused() -> None:
    with pytest.raises(DataError, match="stands twice"):
        hits_of(np.array([[3, 1, 3]]), sets_of([[3]]))


def test_lists_and_relevant_items_of_different_users_are_refused() -> None:
    with pytest.raises(DataError, match="2 ranked lists for 1 users"):
        hits_of(padded([[1], [2]]), sets_of([[1]]))


def test_a_user_without_a_list_gets_an_empty_one_and_strangers_are_dropped() -> None:
    lists = lists_for(np.array([30, 10, 20]), np.array([99, 20, 10]), np.array([[9], [2], [1]]))
    assert lists.tolist() == [[-1], [1], [2]]


def test_without_any_list_all_users_have_empty_ones() -> None:
    assert (
        lists_for(np.array([1, 2]), np.array([], dtype=np.int64), np.empty((0, 2), np.int64)).tolist() == [[-1] * 2] * 2
    )
