"""Reliability of stated probabilities, against hand-worked examples and the formulae written out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.metrics.calibration import brier_score, equal_count_bins, expected_calibration_error, log_loss

FORECASTS = st.lists(st.tuples(st.integers(1, 99), st.booleans()), min_size=1, max_size=60)


def arrays_of(cases: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([percent / 100 for percent, _ in cases]), np.array([outcome for _, outcome in cases])


def test_the_brier_score_by_hand() -> None:
    predicted, observed = np.array([0.8, 0.3, 0.1]), np.array([True, True, False])
    assert brier_score(predicted, observed) == pytest.approx((0.04 + 0.49 + 0.01) / 3)


def test_log_loss_by_hand() -> None:
    predicted, observed = np.array([0.8, 0.3, 0.1]), np.array([True, True, False])
    assert log_loss(predicted, observed) == pytest.approx(-(math.log(0.8) + math.log(0.3) + math.log(0.9)) / 3)


def test_the_impossible_that_came_true_is_not_forgiven() -> None:
    assert log_loss(np.array([0.0, 0.5]), np.array([True, False])) == math.inf
    assert log_loss(np.array([0.0, 1.0]), np.array([False, True])) == 0


@given(FORECASTS)
def test_scores_of_the_base_rate_are_its_variance_and_its_entropy(cases: list[tuple[int, bool]]) -> None:
    _, observed = arrays_of([*cases, (50, True), (50, False)])
    rate = observed.mean()
    constant = np.full(len(observed), rate)
    assert brier_score(constant, observed) == pytest.approx(rate * (1 - rate))
    assert log_loss(constant, observed) == pytest.approx(-rate * math.log(rate) - (1 - rate) * math.log(1 - rate))
    assert expected_calibration_error(constant, observed) == pytest.approx(0, abs=1e-12)


@given(FORECASTS)
def test_no_constant_scores_better_than_the_base_rate(cases: list[tuple[int, bool]]) -> None:
    predicted, observed = arrays_of([*cases, (50, True), (50, False)])
    constant, rate = np.full(len(observed), predicted[0]), np.full(len(observed), observed.mean())
    for score in (brier_score, log_loss, expected_calibration_error):
        assert score(rate, observed) <= score(constant, observed) + 1e-12


def test_the_calibration_error_by_hand() -> None:
    """Two bins of three: stated 0.2 and came true 1/3; stated 0.7 and came true 2/3."""
    predicted = np.array([0.6, 0.1, 0.7, 0.2, 0.8, 0.3])
    observed = np.array([True, False, False, True, True, False])
    expected = (abs(0.2 - 1 / 3) + abs(0.7 - 2 / 3)) / 2
    assert expected_calibration_error(predicted, observed, n_bins=2) == pytest.approx(expected)


@given(FORECASTS, st.integers(1, 12))
def test_the_calibration_error_is_the_formula_bin_by_bin(cases: list[tuple[int, bool]], n_bins: int) -> None:
    predicted, observed = arrays_of(cases)
    bins = equal_count_bins(predicted, n_bins)
    by_hand = sum(
        (bins == one).mean() * abs(predicted[bins == one].mean() - observed[bins == one].mean()) for one in set(bins)
    )
    assert expected_calibration_error(predicted, observed, n_bins) == pytest.approx(by_hand)
    assert 0 <= by_hand <= 1


def test_errors_of_one_bin_cancel_and_those_of_two_do_not() -> None:
    predicted, observed = np.array([0.4, 0.6]), np.array([True, False])
    assert expected_calibration_error(predicted, observed, n_bins=1) == pytest.approx(0)
    assert expected_calibration_error(predicted, observed, n_bins=2) == pytest.approx(0.6)


def test_bins_are_equally_full_where_nothing_is_tied() -> None:
    predicted = np.random.default_rng(0).permutation(100) / 100
    bins = equal_count_bins(predicted, 10)
    assert np.bincount(bins).tolist() == [10] * 10
    assert np.array_equal(bins, (predicted * 100 + 0.5).astype(int) // 10)


@given(FORECASTS)
def test_ties_share_a_bin_whatever_the_order_of_the_cases(cases: list[tuple[int, bool]]) -> None:
    predicted, _ = arrays_of(cases)
    bins = equal_count_bins(predicted)
    assert np.array_equal(equal_count_bins(predicted[::-1])[::-1], bins)
    for value in set(predicted):
        assert len(set(bins[predicted == value])) == 1
    assert bins.min() == 0
    assert bins.max() < 10


def test_nothing_to_judge_is_undefined() -> None:
    predicted, observed = np.empty(0), np.empty(0, dtype=np.bool_)
    for score in (brier_score, log_loss, expected_calibration_error):
        assert np.isnan(score(predicted, observed))
    assert equal_count_bins(predicted).tolist() == []
