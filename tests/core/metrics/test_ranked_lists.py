"""Lists meet held-out items: hits, users without a list."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys_core.errors import DataError
from recsys_core.metrics.ranked_lists import hits_of, lists_for, sets_of, tie_break_order, top_k
from recsys_core.metrics.ranking import ndcg_at_k, recall_at_k

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
    with pytest.raises(DataError, match="appears twice"):
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


FLOATS = st.floats(width=32, allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, -1.0, -np.inf, np.inf])
SCORES = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 15)), elements=FLOATS)


@given(SCORES, st.integers(1, 20), st.integers(0, 2**63))
def test_the_list_is_that_of_a_full_sort_by_score_then_hash(scores: np.ndarray, k: int, seed: int) -> None:
    tie_break = tie_break_order(np.arange(scores.shape[1]), seed)
    for row, ranked in zip(scores, top_k(scores, k, tie_break), strict=True):
        slow = sorted(np.flatnonzero(row > -np.inf), key=lambda item, row=row: (-row[item], tie_break[item]))[:k]
        assert ranked.tolist() == slow + [-1] * (k - len(slow))


@given(SCORES, st.randoms(use_true_random=False))
def test_permuting_the_items_permutes_the_lists_and_nothing_else(scores: np.ndarray, random: Random) -> None:
    item_ids = np.arange(scores.shape[1]) + 100
    order = np.array(random.sample(range(len(item_ids)), len(item_ids)))
    plain = top_k(scores, 5, tie_break_order(item_ids))
    moved = top_k(scores[:, order], 5, tie_break_order(item_ids[order]))
    np.testing.assert_array_equal(np.where(moved >= 0, order[moved], -1), plain)


def test_shuffling_the_rows_does_not_move_a_metric() -> None:
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 3, (40, 30)).astype(np.float32)
    relevant = [rng.permutation(30)[:4].tolist() for _ in range(40)]
    tie_break, order = tie_break_order(np.arange(30)), rng.permutation(40)
    plain = ndcg_at_k(hits_of(top_k(scores, 10, tie_break), sets_of(relevant)), np.full(40, 4))
    shuffled = hits_of(top_k(scores[order], 10, tie_break), sets_of([relevant[row] for row in order]))
    np.testing.assert_array_equal(ndcg_at_k(shuffled, np.full(40, 4)), plain[order])


@pytest.mark.parametrize("favoured", [range(5), range(95, 100), range(0, 100, 20)])
def test_a_constant_scorer_earns_what_chance_would(favoured: range) -> None:
    """Whichever items are relevant: the first, the last (a data set in order of time) or every twentieth."""
    constant, relevant = np.zeros((1, 100), np.float32), sets_of([list(favoured)])
    lists = np.vstack([top_k(constant, 10, tie_break_order(np.arange(100), seed)) for seed in range(4000)])
    hits = np.vstack([hits_of(ranked[None], relevant) for ranked in lists])
    recall, ndcg = recall_at_k(hits, np.full(4000, 5)), ndcg_at_k(hits, np.full(4000, 5))
    discount = 1 / np.log2(np.arange(2, 12))
    assert recall.mean() == pytest.approx(10 / 100, abs=4 * recall.std() / np.sqrt(4000))
    expected = 5 / 100 * discount.sum() / discount[:5].sum()
    assert ndcg.mean() == pytest.approx(expected, abs=4 * ndcg.std() / np.sqrt(4000))


def test_the_hash_does_not_follow_the_ids() -> None:
    item_ids = np.arange(10_000)
    places = tie_break_order(item_ids)
    assert sorted(places) == item_ids.tolist()
    assert abs(np.corrcoef(item_ids, places)[0, 1]) < 0.04  # 4 standard errors
    assert abs(np.corrcoef(places[1:], places[:-1])[0, 1]) < 0.04


def test_an_item_keeps_its_place_among_the_others_when_the_catalogue_grows() -> None:
    few, many = np.array([5, 900, 31, 7]), np.arange(1000)
    assert np.argsort(tie_break_order(few)).tolist() == np.argsort(tie_break_order(many)[few]).tolist()


def test_an_item_with_a_score_of_minus_infinity_is_never_listed() -> None:
    scores = np.array([[-np.inf, 1.0, -np.inf], [-np.inf] * 3], dtype=np.float32)
    assert top_k(scores, 3, np.arange(3)).tolist() == [[1, -1, -1], [-1, -1, -1]]


def test_an_empty_catalogue_and_no_users_give_empty_lists() -> None:
    assert top_k(np.zeros((2, 0), np.float32), 2, np.zeros(0, np.int64)).tolist() == [[-1, -1]] * 2
    assert top_k(np.zeros((0, 5), np.float32), 2, np.arange(5)).shape == (0, 2)


def test_nan_scores_are_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        top_k(np.array([[0.0, np.nan]], np.float32), 1, np.arange(2))
