"""Distances over bins: by hand, and against scipy where bins hold one value each."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, permutation_test

from recsys_core.monitoring import two_sample_tests
from recsys_core.monitoring.reference import cluster_counts, fitted_edges
from recsys_core.monitoring.two_sample_tests import (
    Shares,
    cluster_shares,
    coarsened,
    gap_p_values,
    holm,
    largest_gap,
    stability_index,
)
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


P_VALUES = st.lists(st.integers(1, 100), min_size=1, max_size=30).map(lambda percents: np.array(percents) / 100)


def shares_of(rng: np.random.Generator, n_clusters: int, n_columns: int = 2, n_bins: int = 6) -> Shares:
    counts = rng.multinomial(4, np.full(n_bins, 1 / n_bins), (n_clusters, n_columns))
    return counts / 4


def gap(one: Shares, other: Shares) -> np.ndarray:
    return largest_gap(one.mean(axis=0), other.mean(axis=0))


def test_of_few_clusters_the_p_value_is_the_share_of_all_dealings() -> None:
    rng = np.random.default_rng(4)
    reference, window = shares_of(rng, 5), shares_of(rng, 4)
    pooled, observed = np.concatenate([reference, window]), gap(reference, window)
    dealings = [gap(np.delete(pooled, chosen, axis=0), pooled[list(chosen)]) for chosen in combinations(range(9), 4)]
    exact = np.mean(np.array(dealings) >= observed - 1e-9, axis=0)
    ours = gap_p_values(reference, window, np.random.default_rng(0), 20_000)
    assert ours == pytest.approx(exact, abs=0.015)  # four standard errors of 20,000 dealings


def test_the_p_value_is_that_of_scipy() -> None:
    rng = np.random.default_rng(5)
    reference, window = shares_of(rng, 40, 1), shares_of(rng, 30, 1)
    theirs = permutation_test(
        (np.arange(40), np.arange(40, 70)),
        lambda one, other: gap(np.concatenate([reference, window])[one], np.concatenate([reference, window])[other])[0],
        n_resamples=3000,
        alternative="greater",
        rng=np.random.default_rng(1),
    )
    ours = gap_p_values(reference, window, np.random.default_rng(0), 3000)
    assert ours[0] == pytest.approx(theirs.pvalue, abs=0.05)  # four standard errors of their difference


def test_no_p_value_is_zero_and_one_that_nothing_reaches_is_the_least() -> None:
    reference, window = np.zeros((60, 1, 3)), np.zeros((60, 1, 3))
    reference[:, :, 0], window[:, :, 1] = 1, 1
    assert gap_p_values(reference, window, np.random.default_rng(0), 999).tolist() == [0.001]


def test_what_never_varies_has_p_value_one() -> None:
    same = np.tile(np.array([1 / 3, 1 / 3, 1 / 3]), (70, 1, 1))
    assert gap_p_values(same[:40], same[40:], np.random.default_rng(0), 500).tolist() == [1.0]


def test_batches_change_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    reference, window = shares_of(rng, 30), shares_of(rng, 20)
    at_once = gap_p_values(reference, window, np.random.default_rng(0), 500)
    monkeypatch.setattr(two_sample_tests, "PERMUTATIONS_PER_BATCH", 33)
    assert gap_p_values(reference, window, np.random.default_rng(0), 500).tolist() == at_once.tolist()


def test_columns_are_dealt_together() -> None:
    """A column beside others gets the p-value that it gets alone: all see the same dealings."""
    rng = np.random.default_rng(7)
    reference, window = shares_of(rng, 30, 3), shares_of(rng, 30, 3)
    together = gap_p_values(reference, window, np.random.default_rng(0), 400)
    alone = [gap_p_values(reference[:, [c]], window[:, [c]], np.random.default_rng(0), 400)[0] for c in range(3)]
    assert together.tolist() == alone


def test_holm_by_hand() -> None:
    """Holm's steps for 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, then 0.04, held up by 0.06."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_alarms_where_stepping_down_would(p_values: np.ndarray, alpha: float) -> None:
    """The procedure as Holm wrote it: the least against alpha / m, the next against alpha / (m - 1), to a miss."""
    refused = np.zeros(len(p_values), dtype=bool)
    for step, column in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[column] * (len(p_values) - step) > alpha:
            break
        refused[column] = True
    assert (holm(p_values) <= alpha).tolist() == refused.tolist()


@given(P_VALUES)
def test_holm_keeps_the_order_and_lies_between_the_p_value_and_bonferroni(p_values: np.ndarray) -> None:
    corrected = holm(p_values)
    assert (corrected >= p_values).all()
    assert (corrected <= np.minimum(p_values * len(p_values), 1) + 1e-12).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
