"""P-values: against scipy's permutation test, all dealings written out, and Holm's procedure step by step."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from recsys_core.monitoring import significance
from recsys_core.monitoring.distances import Shares, largest_gap
from recsys_core.monitoring.significance import gap_p_values, holm

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
    monkeypatch.setattr(significance, "BATCH", 33)
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
