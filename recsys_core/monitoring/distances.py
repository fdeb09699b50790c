"""How far two distributions over bins are apart. Effect sizes: neither says whether chance alone could do it."""

import numpy as np

from recsys_core.arrays import Float64s
from recsys_core.monitoring.binning import Counts

Shares = Float64s
"""(..., n_bins): sums to 1; the last bin is missing."""


def cluster_shares(counts: Counts) -> Shares:
    """(n_clusters, n_columns, n_bins) the share of a cluster's rows in each bin: each cluster counts once."""
    shares: Shares = counts / counts.sum(axis=2, keepdims=True)
    return shares


def largest_gap(reference: Shares, window: Shares) -> Float64s:
    """The Kolmogorov-Smirnov statistic over bins: the largest difference of the cumulated shares, in [0, 1].

    Missing stands beyond the greatest value, so that a change of the missing share d is a gap of at least d. Within a
    bin nothing is seen: where no bin holds two different values, this is the statistic of the values themselves.

    Source: Conover (1999), Practical Nonparametric Statistics, section 6.3.

    >>> largest_gap(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25]))
    np.float64(0.25)
    """
    largest = np.abs(np.cumsum(reference - window, axis=-1)[..., :-1]).max(axis=-1)
    gaps: Float64s = np.minimum(largest, 1)  # shares were rounded, and may sum up to a hair more than 1
    return gaps


def stability_index(reference: Shares, window: Shares, least: float) -> Float64s:
    """Population stability index: sum over bins of (q - p) ln(q / p), in nats; 0 where both are alike.

    It is the symmetric Kullback-Leibler divergence of Jeffreys (1946), doi:10.1098/rspa.1946.0056. By chance alone it
    grows with the number of bins and with 1 / n, so that no threshold fits all n: Yurdakul & Naranjo (2020),
    Statistical properties of the population stability index, Journal of Risk Model Validation 14 (4).

    Args:
        reference: (..., n_bins).
        window: (..., n_bins).
        least: what a smaller share counts as, such as that of half a cluster: an empty bin would make it infinite.

    >>> stability_index(np.array([0.5, 0.5]), np.array([0.25, 0.75]), least=0.001).round(4)
    np.float64(0.2747)
    """
    p, q = np.maximum(reference, least), np.maximum(window, least)
    index: Float64s = ((q - p) * np.log(q / p)).sum(axis=-1)
    return index


def coarsened(shares: Shares, reference: Shares, n_groups: int) -> Shares:
    """(n_columns, n_groups + 1) shares with neighbouring bins together, in groups of about equal reference share.

    The last group is missing. A bin goes where its middle lies, so that a value with a large share takes a group alone
    and others stay empty.

    Args:
        shares: (n_columns, n_bins) to be put together.
        reference: (n_columns, n_bins) that decides on the groups.
        n_groups: at most so many, missing not counted.
    """
    present = reference[:, :-1]
    middle = np.cumsum(present, axis=1) - present / 2
    # A column that the reference never knew has no order of shares: all its values form the first group.
    place = middle / np.maximum(present.sum(axis=1, keepdims=True), 1e-12) * n_groups
    group = np.minimum(place.astype(np.int64), n_groups - 1)
    grouped = np.zeros((len(shares), n_groups + 1))
    np.add.at(grouped, (np.arange(len(shares))[:, None], group), shares[:, :-1])
    grouped[:, -1] = shares[:, -1]
    return grouped
