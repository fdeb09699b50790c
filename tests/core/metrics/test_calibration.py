"""Calibration: shares of classes, and how far a list strays from its user's taste."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from recsys_core.metrics.calibration import class_shares, listed_sets, miscalibration
from recsys_core.metrics.relevance import sets_of

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
