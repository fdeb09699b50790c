"""Two-sample tests over bins: effect sizes, permutation p-values, and their correction for many columns.

The usual tests assume independent rows. The rows of one user are not independent, and such a test reports drift on
nearly every day. Permuting whole clusters between the two sides keeps correlated rows together, and assumes nothing
else: no shape of distribution, no formula for ties, for missing values or for bins.

An effect size alone never says whether a difference is beyond chance.
"""

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from recsys_core.arrays import Float64s
from recsys_core.monitoring.reference import BinCounts

Shares = Float64s
"""(..., n_bins): sums to 1; the last bin holds missing values."""


def cluster_shares(counts: BinCounts) -> Shares:
    """(n_clusters, n_columns, n_bins) the share of a cluster's rows in each bin, so that each cluster counts once."""
    shares: Shares = counts / counts.sum(axis=2, keepdims=True)
    return shares


def largest_gap(reference: Shares, window: Shares) -> Float64s:
    """The Kolmogorov-Smirnov statistic over bins: the largest difference of the cumulated shares, in [0, 1].

    Missing values count as beyond the greatest value, so that a change of the missing share by d is a gap of at least
    d. Differences within a bin go unseen. Where no bin holds two different values, this is the statistic of the values
    themselves.

    Source: Conover (1999), Practical Nonparametric Statistics, section 6.3.

    >>> largest_gap(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25]))
    np.float64(0.25)
    """
    largest = np.abs(np.cumsum(reference - window, axis=-1)[..., :-1]).max(axis=-1)
    gaps: Float64s = np.minimum(largest, 1)  # rounded shares may sum to slightly more than 1
    return gaps


def stability_index(reference: Shares, window: Shares, least: float) -> Float64s:
    """Population stability index: sum over bins of (q - p) ln(q / p), in nats; 0 where both are alike.

    It is the symmetric Kullback-Leibler divergence of Jeffreys (1946), doi:10.1098/rspa.1946.0056. By chance alone it
    grows with the number of bins and with 1 / n, so that no threshold fits all n: Yurdakul & Naranjo (2020),
    Statistical properties of the population stability index, Journal of Risk Model Validation 14 (4).

    Args:
        reference: (..., n_bins).
        window: (..., n_bins).
        least: smaller shares are raised to this, such as the share of half a cluster. An empty bin would otherwise make
            the index infinite.

    >>> stability_index(np.array([0.5, 0.5]), np.array([0.25, 0.75]), least=0.001).round(4)
    np.float64(0.2747)
    """
    p, q = np.maximum(reference, least), np.maximum(window, least)
    index: Float64s = ((q - p) * np.log(q / p)).sum(axis=-1)
    return index


def coarsened(shares: Shares, reference: Shares, n_groups: int) -> Shares:
    """(n_columns, n_groups + 1) shares of groups of neighbouring bins, each group of about equal reference share.

    The last group holds missing values. The middle of a bin decides its group, so that a value with a large share takes
    a group alone and other groups stay empty.

    Args:
        shares: (n_columns, n_bins) to be grouped.
        reference: (n_columns, n_bins) that decides on the groups.
        n_groups: the most groups, missing not counted.
    """
    present = reference[:, :-1]
    middle = np.cumsum(present, axis=1) - present / 2
    # A column that is missing throughout the reference has no shares to order: all its values form the first group.
    place = middle / np.maximum(present.sum(axis=1, keepdims=True), 1e-12) * n_groups
    group = np.minimum(place.astype(np.int64), n_groups - 1)
    grouped = np.zeros((len(shares), n_groups + 1))
    np.add.at(grouped, (np.arange(len(shares))[:, None], group), shares[:, :-1])
    grouped[:, -1] = shares[:, -1]
    return grouped


PERMUTATIONS_PER_BATCH = 250
"""Permutations per batch. Bounds the memory at 250 x columns x bins single floats, and changes no draw."""

TOLERANCE = 1e-5
"""Gaps that differ by less count as equal, which can only raise a p-value. Single floats have this precision."""


def gap_p_values(reference: Shares, window: Shares, rng: np.random.Generator, n_permutations: int) -> Float64s:
    """(n_columns,) permutation p-values of the observed gaps.

    p = (1 + permutations with as large a gap) / (1 + all permutations), which is valid, never 0, and exact up to ties,
    if the clusters of both sides come from the same distribution and are independent: Phipson & Smyth (2010),
    doi:10.2202/1544-6115.1585. The bins were fitted to the reference and are taken as given. Where that was measured,
    down to twenty clusters on a side, false alarms stayed at alpha.

    Args:
        reference: (n_clusters, n_columns, n_bins).
        window: the same for other clusters; at least one on either side.
        rng: permutes the clusters.
        n_permutations: number of permutations.
    """
    pooled = np.concatenate([reference, window])
    n_all, n_columns, n_bins = pooled.shape
    cumulated = np.cumsum(pooled, axis=2)[:, :, :-1].reshape(n_all, -1).astype(np.float32)
    total = cumulated.sum(axis=0, dtype=np.float64).astype(np.float32)
    is_window = (np.arange(n_all) >= len(reference)).astype(np.float32)
    observed = largest_gap(reference.mean(axis=0), window.mean(axis=0)) - TOLERANCE
    n_as_large = np.ones(n_columns)
    with threadpool_limits(limits=1, user_api="blas"):  # sums depend on their order
        for start in range(0, n_permutations, PERMUTATIONS_PER_BATCH):
            n = min(PERMUTATIONS_PER_BATCH, n_permutations - start)
            permuted = rng.permuted(np.tile(is_window, (n, 1)), axis=1)
            # mean of the window - mean of the rest = sum of the window (1 / n + 1 / rest) - sum of all / rest
            gaps = permuted @ cumulated * np.float32(1 / len(window) + 1 / len(reference)) - total / len(reference)
            n_as_large += (np.abs(gaps).reshape(-1, n_columns, n_bins - 1).max(axis=2) >= observed).sum(axis=0)
    return n_as_large / (1 + n_permutations)


def holm(p_values: Float64s) -> Float64s:
    """Holm's corrected p-values: alarms at those up to alpha include a false one with probability alpha at most.

    The k-th least of m p-values is multiplied by m - k + 1, capped at 1, and never lower than the one before it. The
    guarantee holds however the columns depend on each other.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 65-70.

    >>> holm(np.array([0.01, 0.5, 0.02])).round(4)
    array([0.03, 0.5 , 0.04])
    """
    order: npt.NDArray[np.intp] = np.argsort(p_values, kind="stable")
    raised = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(raised, 1)
    return corrected
