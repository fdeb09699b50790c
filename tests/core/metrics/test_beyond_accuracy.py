"""Coverage, exposure, novelty, diversity: by hand, against slow loops, and at the edges."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from recsys_core.metrics.beyond_accuracy import (
    catalogue_coverage,
    class_shares,
    gini_of_exposure,
    intra_list_diversity,
    listed_sets,
    miscalibration,
    novelty,
    popularity_percentile,
)
from recsys_core.metrics.ranked_lists import sets_of

NOBODY = np.empty((0, 5), dtype=np.int64)
EMPTY = np.full((2, 5), -1)


def test_coverage_counts_each_item_once_and_padding_never() -> None:
    assert catalogue_coverage(np.array([[0, 1], [1, -1], [-1, -1]]), n_items=8) == 0.25
    assert catalogue_coverage(EMPTY, n_items=8) == 0.0
    assert np.isnan(catalogue_coverage(NOBODY, n_items=0))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_gini_is_half_the_mean_relative_difference(shown: list[int]) -> None:
    exposure = np.bincount(shown, minlength=10)
    slow = np.abs(exposure[:, None] - exposure).sum() / (2 * 10 * exposure.sum())
    assert gini_of_exposure(np.array(shown)[:, None], n_items=10) == pytest.approx(slow)


def test_gini_is_0_at_equal_exposure_and_undefined_without_any() -> None:
    assert gini_of_exposure(np.arange(6).reshape(2, 3), n_items=6) == pytest.approx(0)
    assert np.isnan(gini_of_exposure(EMPTY, n_items=6))


def test_novelty_of_what_everybody_knows_is_0_and_of_the_unseen_that_of_a_single_reader() -> None:
    counts = np.array([16, 4, 1, 0])
    values = novelty(np.array([[0, -1], [1, 2], [2, 3], [-1, -1]]), counts, n_users=16)
    np.testing.assert_array_equal(values, [0, 3, 4, np.nan])


@given(st.lists(st.integers(0, 5), min_size=2, max_size=20))
def test_the_mean_percentile_over_the_catalogue_is_a_half(counts: list[int]) -> None:
    everything = np.arange(len(counts))[None]
    assert popularity_percentile(everything, np.array(counts)) == pytest.approx(0.5)


def slow_diversity(row: np.ndarray, genres: np.ndarray, similarity: str) -> float:
    def alike(a: np.ndarray, b: np.ndarray) -> float:
        divisor = np.logical_or(a, b).sum() if similarity == "jaccard" else np.sqrt(a.sum() * b.sum())
        return np.logical_and(a, b).sum() / divisor if divisor else 0.0

    pairs = [alike(genres[a], genres[b]) for a, b in combinations(row[row >= 0], 2)]
    return 1 - np.mean(pairs) if pairs else np.nan


@pytest.mark.parametrize("similarity", ["jaccard", "cosine"])
def test_diversity_agrees_with_a_slow_loop_over_pairs(similarity: str) -> None:
    rng = np.random.default_rng(5)
    genres = (rng.random((30, 6)) < 0.3).astype(np.float32)  # a few items have no genre at all
    ranked = np.array([rng.permutation(30)[:8] for _ in range(50)])
    ranked[np.arange(8) >= rng.integers(0, 9, 50)[:, None]] = -1
    slow = [slow_diversity(row, genres, similarity) for row in ranked]
    np.testing.assert_allclose(intra_list_diversity(ranked, genres, similarity=similarity), slow, atol=1e-6)


def test_a_list_of_one_kind_has_no_diversity_and_items_without_genres_share_nothing() -> None:
    genres = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], dtype=np.float32)
    values = intra_list_diversity(np.array([[0, 1], [2, 3], [0, 2]]), genres)
    assert values.tolist() == [0.0, 1.0, 1.0]


GENRES = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.float32)
WEIGHTS = arrays(np.float64, (4, 3), elements=st.integers(0, 9).map(float)).filter(lambda w: (w.sum(axis=1) > 0).all())


def shares_of(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(axis=1, keepdims=True)


def test_an_item_counts_once_however_many_genres_it_has() -> None:
    shares = class_shares(sets_of([[0, 1, 2]]), GENRES)
    np.testing.assert_allclose(shares, [[1 / 6, 1 / 2, 1 / 3]])


def test_items_without_a_genre_are_left_out_and_users_of_only_such_items_are_unknown() -> None:
    shares = class_shares(sets_of([[1, 3], [3], []]), GENRES)
    np.testing.assert_array_equal(shares, [[0, 1, 0], [np.nan] * 3, [np.nan] * 3])


def test_a_list_is_read_up_to_its_end() -> None:
    sets = listed_sets(np.array([[2, 0, -1], [-1, -1, -1], [1, 2, 3]]))
    assert sets.counts.tolist() == [2, 0, 3]
    assert sets.items.tolist() == [2, 0, 1, 2, 3]


@given(WEIGHTS, WEIGHTS)
def test_miscalibration_is_scipys_relative_entropy_of_the_smoothed_list(taste: np.ndarray, shown: np.ndarray) -> None:
    taste, shown = shares_of(taste), shares_of(shown)
    values = miscalibration(taste, shown)
    np.testing.assert_allclose(values, entropy(taste, 0.99 * shown + 0.01 * taste, axis=1), atol=1e-9)
    assert np.all((values >= 0) & (values <= -np.log(0.01) + 1e-9))


@given(WEIGHTS)
def test_a_list_that_mirrors_the_taste_is_perfectly_calibrated(taste: np.ndarray) -> None:
    assert miscalibration(shares_of(taste), shares_of(taste)) == pytest.approx(0, abs=1e-12)


def test_an_unknown_taste_or_an_empty_list_is_undefined() -> None:
    known, unknown = np.array([[0.0, 1.0]]), np.array([[np.nan, np.nan]])
    assert np.isnan(miscalibration(known, unknown)).all()
    assert np.isnan(miscalibration(unknown, known)).all()
