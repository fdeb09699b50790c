"""What list rules promise of every list, and what each of them does by hand."""

import time
from random import Random

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_core.arrays import Float32s
from recsys_core.ranking.config import NO_RULES, ListRulesConfig
from recsys_core.ranking.lists import (
    DIVERSITY,
    FATIGUE,
    FRANCHISE,
    POOL,
    ListedItems,
    RuledList,
    apply_rules,
    apply_rules_to_all,
    diverse_order,
    listed_items,
    order_of,
)
from recsys_core.retrieval.candidates import Candidates
from tests.core.worlds import TinyRun

Case = tuple[npt.NDArray[np.int64], Float32s, ListedItems, int, Float32s]

N_ITEMS = 90
RULES = st.builds(
    ListRulesConfig,
    diversity=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    most_per_franchise=st.sampled_from([None, 1, 2, 5]),
    tired_after=st.sampled_from([None, 1, 2, 3]),
)


def unit(vectors: Float32s) -> Float32s:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def random_case(seed: int, n: int, k: int) -> Case:
    """Some of the items with scores of which many are equal; franchises of one to many movies.

    Half of them were shown and left alone up to three times.
    """
    rng = np.random.default_rng(seed)
    titles = [f"{'ABCDEFGH'[rng.integers(8)] * 3} {place % 15 + 2}" for place in range(N_ITEMS // 2)]
    titles += [f"Movie called {place}th" for place in range(N_ITEMS - len(titles))]
    items = ListedItems(vectors=unit(rng.normal(size=(N_ITEMS, 6)).astype(np.float32)), titles=titles)
    scores, shown = (rng.integers(-9, 9, n) / 4).astype(np.float32), np.maximum(rng.integers(-2, 4, n), 0)
    return rng.permutation(N_ITEMS)[:n], scores, items, k, shown.astype(np.float32)


CASES = st.builds(random_case, st.integers(0, 10_000), st.integers(0, N_ITEMS), st.integers(1, N_ITEMS + 9))


@given(CASES)
def test_with_all_rules_off_the_list_is_the_rankers_to_the_bit(case: Case) -> None:
    item_idx, scores, items, k, shown = case
    found = apply_rules(item_idx, scores, items, NO_RULES, k, shown)
    best = order_of(scores)[:k]
    assert found.places.tolist() == best.tolist()
    assert found.ranker_ranks.tolist() == list(range(1, len(best) + 1))
    assert found.moved_by == ("",) * len(best)


@given(CASES, RULES)
def test_a_list_holds_no_item_twice_and_is_as_long_as_there_are_candidates(case: Case, rules: ListRulesConfig) -> None:
    item_idx, scores, items, k, shown = case
    places = apply_rules(item_idx, scores, items, rules, k, shown).places.tolist()
    assert len(set(places)) == len(places) == min(k, len(item_idx))


@given(CASES, RULES)
def test_a_list_is_the_beginning_of_every_longer_one(case: Case, rules: ListRulesConfig) -> None:
    item_idx, scores, items, k, shown = case
    longer = apply_rules(item_idx, scores, items, rules, k + 7, shown).places
    assert apply_rules(item_idx, scores, items, rules, k, shown).places.tolist() == longer[:k].tolist()


@given(CASES, RULES)
def test_no_franchise_exceeds_its_number_while_others_are_left(case: Case, rules: ListRulesConfig) -> None:
    """Where too few others are left, all of them are in the list, and only then it is filled."""
    item_idx, scores, items, k, shown = case
    most = rules.most_per_franchise
    if most is None:
        return
    fresh = item_idx[shown < (rules.tired_after or np.inf)]
    counts = np.bincount(items.franchises[fresh], minlength=1)
    n_allowed = int(np.minimum(counts, most).sum())
    listed = items.franchises[item_idx[apply_rules(item_idx, scores, items, rules, k, shown).places]]
    first = listed[: min(k, n_allowed)]
    assert np.bincount(first, minlength=1).max() <= most
    assert len(listed) == min(k, len(item_idx))


@given(CASES, RULES)
def test_every_slot_says_where_it_would_stand_and_what_moved_it(case: Case, rules: ListRulesConfig) -> None:
    item_idx, scores, items, k, shown = case
    found = apply_rules(item_idx, scores, items, rules, k, shown)
    assert found.places.tolist() == order_of(scores)[found.ranker_ranks - 1].tolist()
    moved = found.ranker_ranks != np.arange(1, len(found.places) + 1)
    assert [bool(rule) for rule in found.moved_by] == moved.tolist()
    on = {DIVERSITY} if rules.diversity else set()
    on |= {FATIGUE} if rules.tired_after is not None else set()
    assert set(found.moved_by) <= {""} | on | ({FRANCHISE} if rules.most_per_franchise is not None else set())


@given(CASES)
def test_diversity_of_weight_nothing_is_the_rankers_order(case: Case) -> None:
    item_idx, scores, items, *_ = case
    falling = np.sort(scores)[::-1]
    assert diverse_order(falling, items.vectors[item_idx], 0.0).tolist() == list(range(len(item_idx)))


@given(st.builds(random_case, st.integers(0, 10_000), st.integers(0, 20), st.just(9)), st.sampled_from([0.1, 0.5, 0.9]))
def test_each_place_goes_to_the_highest_marginal_relevance(case: Case, weight: float) -> None:
    """By the formula of the paper, written out plainly."""
    item_idx, scores, items, *_ = case
    falling, vectors = np.sort(scores)[::-1], items.vectors[item_idx].astype(np.float64)
    order = diverse_order(falling, items.vectors[item_idx], weight).tolist()
    if not order:
        return
    span = float(falling[0] - falling[-1]) or 1.0
    relevance = [(float(score) - float(falling[-1])) / span for score in falling]
    for place, chosen in enumerate(order):
        left = order[place:]
        nearest = {
            one: max((float(vectors[one] @ vectors[other]) for other in order[:place]), default=0) for one in left
        }
        value = {one: (1 - weight) * relevance[one] - weight * nearest[one] for one in left}
        assert value[chosen] >= max(value.values()) - 1e-5


@given(CASES, RULES, st.randoms(use_true_random=False))
def test_the_list_does_not_depend_on_the_order_in_which_candidates_come(
    case: Case, rules: ListRulesConfig, chance: Random
) -> None:
    """Where no two scores are equal."""
    item_idx, _, items, k, shown = case
    scores = np.random.default_rng(len(item_idx)).permutation(len(item_idx)).astype(np.float32)
    mixed = np.array(chance.sample(range(len(item_idx)), len(item_idx)), dtype=np.int64)
    found = apply_rules(item_idx, scores, items, rules, k, shown)
    again = apply_rules(item_idx[mixed], scores[mixed], items, rules, k, shown[mixed])
    assert item_idx[mixed][again.places].tolist() == item_idx[found.places].tolist()
    assert again.moved_by == found.moved_by


def by_hand(rules: ListRulesConfig, k: int = 4, shown: Float32s | None = None) -> RuledList:
    """Candidates in the order of their scores: two movies of a series that are alike, a third, and two others."""
    vectors = np.array([[1, 0, 0], [0.99, 0.14, 0], [0.9, 0.43, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    titles = ["Alien", "Alien: Resurrection", "Alien 3", "Heat", "Fargo"]
    scores = np.array([5, 4.5, 4, 3, 1], dtype=np.float32)
    return apply_rules(np.arange(5), scores, ListedItems(vectors=unit(vectors), titles=titles), rules, k, shown)


def test_at_most_so_many_of_a_franchise_by_hand() -> None:
    found = by_hand(ListRulesConfig(most_per_franchise=1))
    assert found.places.tolist() == [0, 3, 4, 1]  # filled with the second of the series
    assert found.ranker_ranks.tolist() == [1, 4, 5, 2]
    assert found.moved_by == ("", FRANCHISE, FRANCHISE, FRANCHISE)
    assert by_hand(ListRulesConfig(most_per_franchise=2)).places.tolist() == [0, 1, 3, 4]
    assert by_hand(ListRulesConfig(most_per_franchise=3)).moved_by == ("",) * 4


def test_diversity_by_hand() -> None:
    """The second is nearly the first: 0.5 x 0.875 - 0.5 x 0.99 < 0.5 x 0.5 - 0."""
    found = by_hand(ListRulesConfig(diversity=0.5))
    assert found.places.tolist() == [0, 3, 4, 1]
    assert found.moved_by == ("", DIVERSITY, DIVERSITY, DIVERSITY)
    assert by_hand(ListRulesConfig(diversity=0.05)).places.tolist() == [0, 1, 2, 3]


def test_the_last_rule_that_moved_a_movie_is_named() -> None:
    found = by_hand(ListRulesConfig(diversity=0.3, most_per_franchise=1), k=5)
    assert found.places.tolist() == [0, 3, 4, 1, 2]
    assert found.moved_by == ("", DIVERSITY, FRANCHISE, FRANCHISE, FRANCHISE)


@given(CASES, RULES)
def test_what_was_shown_too_often_is_behind_all_others_in_the_order_of_the_ranker(
    case: Case, rules: ListRulesConfig
) -> None:
    item_idx, scores, items, _, shown = case
    if rules.tired_after is None:
        return
    found = apply_rules(item_idx, scores, items, rules, len(item_idx), shown)
    is_tired = shown[found.places] >= rules.tired_after
    assert is_tired.tolist() == sorted(is_tired.tolist())
    assert np.all(np.diff(found.ranker_ranks[is_tired]) > 0)
    fresh = apply_rules(
        item_idx[shown < rules.tired_after],
        scores[shown < rules.tired_after],
        items,
        rules.model_copy(update={"tired_after": None}),
        len(item_idx),
    )
    of_fresh = item_idx[shown < rules.tired_after][fresh.places]
    assert item_idx[found.places[~is_tired]].tolist() == of_fresh.tolist(), "the others as if it was not there"


@given(CASES, RULES)
def test_where_nothing_was_shown_nothing_tires(case: Case, rules: ListRulesConfig) -> None:
    item_idx, scores, items, k, shown = case
    never = apply_rules(item_idx, scores, items, rules, k, np.zeros_like(shown))
    unknown = apply_rules(item_idx, scores, items, rules, k)
    without = apply_rules(item_idx, scores, items, rules.model_copy(update={"tired_after": None}), k, shown)
    assert never.places.tolist() == unknown.places.tolist() == without.places.tolist()
    assert never.moved_by == unknown.moved_by == without.moved_by


def test_a_tired_movie_by_hand() -> None:
    """The best three times, the third twice; a movie that a tired one uncovers was moved by the same rule."""
    shown = np.array([3, 0, 2, 0, 0], dtype=np.float32)
    found = by_hand(ListRulesConfig(tired_after=3), 5, shown)
    assert found.places.tolist() == [1, 2, 3, 4, 0]
    assert found.moved_by == (FATIGUE,) * 5
    found = by_hand(ListRulesConfig(tired_after=2), 5, shown)
    assert found.places.tolist() == [1, 3, 4, 0, 2]
    assert found.ranker_ranks.tolist() == [2, 4, 5, 1, 3]
    assert by_hand(ListRulesConfig(tired_after=4), 5, shown).moved_by == ("",) * 5


def test_a_tired_movie_uses_up_no_franchise() -> None:
    """The second of the series takes the place that the first would have had; the third is one too many."""
    shown = np.array([1, 0, 0, 0, 0], dtype=np.float32)
    found = by_hand(ListRulesConfig(tired_after=1, most_per_franchise=1), 5, shown)
    assert found.places.tolist() == [1, 3, 4, 2, 0]
    assert found.moved_by == (FATIGUE, FRANCHISE, FRANCHISE, FRANCHISE, FATIGUE)


def test_what_lies_behind_the_pool_keeps_its_place() -> None:
    item_idx, scores, items, *_ = random_case(3, N_ITEMS, 1)
    found = apply_rules(item_idx, scores, items, ListRulesConfig(diversity=0.9), N_ITEMS)
    assert sorted(found.ranker_ranks[:POOL].tolist()) == list(range(1, POOL + 1))
    assert found.ranker_ranks[POOL:].tolist() == list(range(POOL + 1, N_ITEMS + 1))


def test_the_lists_of_many_users_are_those_of_each() -> None:
    rules = ListRulesConfig(diversity=0.5, most_per_franchise=1)
    item_idx, scores = np.full((3, 40), -1), np.full((3, 40), -np.inf, dtype=np.float32)
    for row, n in enumerate((40, 25, 0)):
        own, own_scores, items, *_ = random_case(7, n, 1)
        by_score = order_of(own_scores)
        item_idx[row, :n], scores[row, :n] = own[by_score], own_scores[by_score]
    items = random_case(7, 0, 1)[2]
    ranked = Candidates(item_idx=item_idx, scores=scores)
    found = apply_rules_to_all(ranked, items, rules)
    for row, n in enumerate((40, 25, 0)):
        places = apply_rules(item_idx[row, :n], scores[row, :n], items, rules, n).places
        assert found.item_idx[row].tolist() == item_idx[row, places].tolist() + [-1] * (40 - n)
        assert found.scores[row, :n].tolist() == scores[row, places].tolist()
        assert np.isneginf(found.scores[row, n:]).all()
    assert not np.array_equal(found.item_idx, item_idx)
    assert apply_rules_to_all(ranked, items, NO_RULES) is ranked


def test_items_are_described_in_the_order_of_the_catalogue(tiny: TinyRun) -> None:
    catalogue, generator = tiny.model.catalogue, tiny.generator()
    unknown = int(catalogue.item_ids[3])
    items = listed_items(generator, tiny.movies.reverse().filter(pl.col("item_id") != unknown))
    titles = dict(tiny.movies.select("item_id", "title").iter_rows()) | {unknown: ""}
    assert list(items.titles) == [titles[item_id] for item_id in catalogue.item_ids.tolist()]
    np.testing.assert_allclose(np.linalg.norm(items.vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "setting", [{"diversity": 1.0}, {"diversity": -0.1}, {"most_per_franchise": 0}, {"tired_after": 0}, {"mmr": 0.2}]
)
def test_settings_out_of_bounds_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ListRulesConfig.model_validate(setting)


def test_a_list_out_of_two_hundred_candidates_takes_well_below_a_millisecond() -> None:
    """On a free core 0.2 ms; the least of many tries, for whatever else the machine does."""
    rng = np.random.default_rng(0)
    items = ListedItems(vectors=unit(rng.normal(size=(200, 64)).astype(np.float32)), titles=["Alien"] * 200)
    scores = rng.normal(size=200).astype(np.float32)
    rules, taken = ListRulesConfig(diversity=0.3, most_per_franchise=2, tired_after=2), []
    shown = rng.integers(0, 4, 200).astype(np.float32)
    for _ in range(100):
        began = time.perf_counter()
        apply_rules(np.arange(200), scores, items, rules, 10, shown)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.001
