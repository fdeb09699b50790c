"""The reference of a drift report: the earlier period, in bins that are fitted to it once and never move.

Bins make a reference small, and no values of people need to be kept. The bins of a column are, in order: up to its
least value, then equal shares of the rows, then beyond its greatest value, then missing. A value that fills more than
one share (0 in a column of counts, both values of a yes-or-no column) has a bin of its own, so that no nearby value can
be mistaken for it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Float32s, Float64s
from recsys_core.errors import DataError
from recsys_core.monitoring.clustered_sample import ClusteredSample
from recsys_core.monitoring.config import DriftConfig
from recsys_core.seeding import child

BinCounts = npt.NDArray[np.int32]
"""(n_clusters, n_columns, n_bins): rows of a cluster in a bin of a column; the last bin holds missing values."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The columns, the edges of their bins, and the number of rows of each cluster in each bin."""

    names: tuple[str, ...]
    edges: Float32s  # (n_columns, n_edges)
    counts: BinCounts  # (n_clusters, n_columns, n_bins)

    @property
    def n_clusters(self) -> int:
        """Number of clusters kept."""
        return len(self.counts)

    def counts_of(self, sample: ClusteredSample) -> BinCounts:
        """Count another sample in the bins of this reference.

        Raises:
            DataError: it has other columns, or the same in another order.
        """
        if sample.names != self.names:
            differing = sorted(set(sample.names) ^ set(self.names)) or ["their order"]
            raise DataError(
                f"the reference and the rows have different columns (differs: {', '.join(differing)}): compare rows "
                "that were read with one version of the features"
            )
        return cluster_counts(sample, self.edges)


def make_reference(sample: ClusteredSample, config: DriftConfig) -> Reference:
    """Fit bins to the sample, and count the sample in them. An empty sample gives no clusters, and no edges.

    Compare rows of one kind: the same number of places of each list, ordered by rankers that either all learned from
    these rows or all did not.
    """
    kept = sample.at_most(config.max_clusters, child(config.seed, "monitoring", "reference"))
    edges = fitted_edges(kept, config.n_bins)
    return Reference(names=kept.names, edges=edges, counts=cluster_counts(kept, edges))


def fitted_edges(sample: ClusteredSample, n_bins: int) -> Float32s:
    """(n_columns, n_bins + 1) edges at the quantiles of a sample in which each cluster counts once.

    A bin ends with its edge, inclusive. Where quantiles coincide there are fewer edges, and +inf fills the row. A
    column without any value has no edge.
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


def cluster_counts(sample: ClusteredSample, edges: Float32s) -> BinCounts:
    """Count the rows of each cluster in each bin.

    The clusters are sorted by their counts, so that numbering them differently gives the same bytes.
    """
    numbers, cluster = np.unique(sample.clusters, return_inverse=True)
    width = n_codes(edges)
    counts = np.empty((len(numbers), len(sample.names), width), dtype=np.int32)
    for column, values in enumerate(sample.values.T):
        cells = cluster * width + binned(values, edges[column])
        counts[:, column] = np.bincount(cells, minlength=len(numbers) * width).reshape(-1, width)
    return counts[sorted(range(len(counts)), key=lambda row: counts[row].tobytes())]


def _quantiles(values: Float32s, weights: Float64s, n_bins: int) -> Float32s:
    """(n_bins + 1,) the least value, then the values at which 1 / n_bins, 2 / n_bins, ... of the weight is reached."""
    values = values + np.float32(0)  # -0 and 0 are one value, and would be two patterns of bits
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    # Slightly less than each share: rounding may leave a sum of thirds, in any order of rows, just below the whole.
    wanted = np.linspace(0, reached[-1], n_bins + 1) * (1 - 1e-12)
    return values[order][np.searchsorted(reached, wanted, side="left")]


def _with_own_bins(quantiles: Float32s) -> Float32s:
    """The edges: each quantile once, and another just below a repeated one. Never more than there are quantiles."""
    distinct, repeats = np.unique(quantiles, return_counts=True)
    with np.errstate(over="ignore"):  # the value below the least float is -inf, an edge that no value is below
        below = np.nextafter(distinct[repeats > 1], np.float32(-np.inf))
    return np.union1d(distinct, below)
