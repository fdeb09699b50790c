"""Values -> bins that are fixed once, by what a model learned from, and never move afterwards.

Bins make a reference small, and need no values of people to be kept. A column's bins are, in order: up to its least
value, then equal shares of the rows, then beyond its greatest value, then missing. A value that fills more than one
share (0 in a column of counts, both values of a yes-or-no) has a bin of its own, so that nothing near can pass for it.
"""

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Float32s, Float64s
from recsys_core.monitoring.sample import Sample

Counts = npt.NDArray[np.int32]
"""(n_clusters, n_columns, n_bins): how many rows of a cluster lie in a bin of a column; the last bin is missing."""


def fitted_edges(sample: Sample, n_bins: int) -> Float32s:
    """(n_columns, n_bins + 1) edges at the quantiles of a sample in which each cluster counts once.

    A bin ends with its edge, inclusive. Where quantiles coincide there are fewer edges, and +inf fills the row; a
    column without any value has none.
    """
    _, cluster, sizes = np.unique(sample.clusters, return_inverse=True, return_counts=True)
    weights = 1 / sizes[cluster]
    edges = np.full((len(sample.names), n_bins + 1), np.inf, dtype=np.float32)
    for column, values in enumerate(sample.values.T):
        present = ~np.isnan(values)
        if present.any():
            found = _with_own_bins(_quantiles(values[present], weights[present], n_bins))
            edges[column, : len(found)] = found
    return edges


def n_codes(edges: Float32s) -> int:
    """Number of bins of a column: between and beyond the edges, and missing."""
    return int(edges.shape[1]) + 2


def binned(values: Float32s, edges: Float32s) -> npt.NDArray[np.intp]:
    """(n_rows,) bin of each value of one column, from 0; NaN has the last.

    >>> binned(np.array([0.5, 1.0, 1.5, 9.0, np.nan]), np.array([1.0, 2.0], dtype=np.float32))
    array([0, 0, 1, 2, 3])
    """
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))


def cluster_counts(sample: Sample, edges: Float32s) -> Counts:
    """How many rows of each cluster lie in each bin, in an order of clusters that their numbers do not decide.

    The clusters are sorted by what they hold: whoever numbers them otherwise gets the same bytes.
    """
    numbers, cluster = np.unique(sample.clusters, return_inverse=True)
    width = n_codes(edges)
    counts = np.empty((len(numbers), len(sample.names), width), dtype=np.int32)
    for column, values in enumerate(sample.values.T):
        cells = cluster * width + binned(values, edges[column])
        counts[:, column] = np.bincount(cells, minlength=len(numbers) * width).reshape(-1, width)
    return counts[sorted(range(len(counts)), key=lambda row: counts[row].tobytes())]


def _quantiles(values: Float32s, weights: Float64s, n_bins: int) -> Float32s:
    """(n_bins + 1,) the least value, then those at which 1 / n_bins, 2 / n_bins, ... of the weight is reached."""
    values = values + np.float32(0)  # -0 and 0 are one value, and would be two patterns of bits
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    # A hair less than each share: a sum of thirds, in any order of rows, may miss the whole that it stands for.
    wanted = np.linspace(0, reached[-1], n_bins + 1) * (1 - 1e-12)
    return values[order][np.searchsorted(reached, wanted, side="left")]


def _with_own_bins(quantiles: Float32s) -> Float32s:
    """The edges: each quantile once, and another just below a repeated one. Never more than there are quantiles."""
    distinct, repeats = np.unique(quantiles, return_counts=True)
    with np.errstate(over="ignore"):  # below the least of all floats lies -inf, an edge that nothing is under
        below = np.nextafter(distinct[repeats > 1], np.float32(-np.inf))
    return np.union1d(distinct, below)
