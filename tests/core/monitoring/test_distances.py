"""Distances over bins: by hand, and against scipy where bins hold one value each."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from recsys_core.monitoring.binning import cluster_counts, fitted_edges
from recsys_core.monitoring.distances import cluster_shares, coarsened, largest_gap, stability_index
from tests.core.monitoring.clustered import rows_of

WHOLE = st.lists(st.integers(0, 7), min_size=5, max_size=80)


def test_the_gap_by_hand() -> None:
    """Cumulated: 0.2, 0.5, 1 beside 0.4, 0.9, 1."""
    assert largest_gap(np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.5, 0.1])) == pytest.approx(0.4)


def test_a_change_of_the_missing_share_is_a_gap_of_that_size() -> None:
    assert largest_gap(np.array([0.5, 0.5, 0.0]), np.array([0.4, 0.4, 0.2])) == pytest.approx(0.2)


def test_a_gap_is_never_above_one_although_shares_are_rounded() -> None:
    low, high = np.array([0.2, 0.4, 0.3, 0.1, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    assert low.cumsum()[-1] > 1
    assert largest_gap(low, high) == 1


@given(WHOLE, WHOLE)
def test_the_gap_is_that_of_scipy_where_each_value_has_its_bin(before: list[int], now: list[int]) -> None:
    """The bins know each value of the first sample; eight copies make each frequent enough to have its own."""
    edges = fitted_edges(rows_of([*range(8)] * 8), 50)
    one, other = (
        cluster_shares(cluster_counts(rows_of([float(value) for value in values]), edges)).mean(axis=0)
        for values in (before, now)
    )
    assert largest_gap(one, other)[0] == pytest.approx(ks_2samp(before, now, method="asymp").statistic)


def test_each_cluster_counts_once_whatever_its_size() -> None:
    """One cluster of three rows in the upper bin beside one of a single row in the lower: half and half."""
    counts = np.array([[[0, 3, 0]], [[1, 0, 0]]], dtype=np.int32)
    assert cluster_shares(counts).mean(axis=0).tolist() == [[0.5, 0.5, 0.0]]


def test_the_stability_index_by_hand() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.4, 0.2])
    expected = 0.2 * math.log(2) + 0.1 * math.log(4 / 3) + 0.3 * math.log(2.5)
    assert stability_index(p, q, least=0.001) == pytest.approx(expected)
    assert stability_index(q, p, least=0.001) == pytest.approx(expected), "it is symmetric"


def test_an_empty_bin_counts_as_the_least_share_and_both_empty_as_nothing() -> None:
    p, q = np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.4, 0.5, 0.1, 0.0])
    expected = 0.1 * math.log(5 / 4) + (0.1 - 0.005) * math.log(0.1 / 0.005)
    assert stability_index(p, q, least=0.005) == pytest.approx(expected)


def test_bins_are_put_together_by_their_reference_share() -> None:
    reference = np.array([[0.1, 0.2, 0.2, 0.25, 0.2, 0.0, 0.05]])
    window = np.array([[0.0, 0.1, 0.0, 0.2, 0.3, 0.3, 0.1]])
    # Of what is present (0.95), the middles lie at 0.05, 0.21, 0.42 | 0.66, 0.89, 1.0.
    assert coarsened(reference, reference, 2)[0] == pytest.approx([0.5, 0.45, 0.05])
    assert coarsened(window, reference, 2)[0] == pytest.approx([0.1, 0.8, 0.1])


def test_a_value_with_most_of_the_share_is_a_group_alone() -> None:
    reference = np.array([[0.0, 0.9, 0.0, 0.1, 0.0, 0.0]])
    below, at, above = (coarsened(np.eye(6)[[bin_]], reference, 10)[0].argmax() for bin_ in (0, 1, 4))
    assert len({int(below), int(at), int(above)}) == 3


def test_a_column_without_a_known_value_has_one_group_beside_missing() -> None:
    reference, window = np.array([[0.0, 0.0, 1.0]]), np.array([[0.25, 0.5, 0.25]])
    assert coarsened(window, reference, 2).tolist() == [[0.75, 0.0, 0.25]]


@given(st.lists(st.integers(0, 9), min_size=54, max_size=54), st.integers(2, 12))
def test_no_share_is_lost_when_bins_are_put_together(counts: list[int], n_groups: int) -> None:
    reference = np.array([[*counts[:-1], counts[-1] + 1]]) / (sum(counts) + 1)
    grouped = coarsened(reference[:, ::-1], reference, n_groups)
    assert grouped.shape == (1, n_groups + 1)
    assert grouped.sum() == pytest.approx(1)
