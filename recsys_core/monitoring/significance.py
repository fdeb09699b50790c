"""Could chance alone have done it? P-values by dealing clusters anew, and their correction for many columns.

The usual test takes rows for independent. The rows of one user are not, and it then calls chance drift on nearly every
day. Dealing whole clusters to the two sides keeps together what hangs together, and asks for nothing else: no shape of
distribution, no formula for ties, for missing values or for bins.
"""

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from recsys_core.arrays import Float64s
from recsys_core.monitoring.distances import Shares, largest_gap

BATCH = 250
"""Dealings at once: bounds the memory at 250 x columns x bins single floats, and changes no draw."""

TOLERANCE = 1e-5
"""Two gaps that differ by less are taken for equal, which can only raise a p-value. Single floats are that exact."""


def gap_p_values(reference: Shares, window: Shares, rng: np.random.Generator, n_permutations: int) -> Float64s:
    """(n_columns,) how often dealing the clusters anew gives a gap as large as the one that is there.

    p = (1 + dealings with as large a gap) / (1 + all dealings), which is valid, never 0, and exact up to ties, if the
    clusters of both sides come from the same distribution and are independent: Phipson & Smyth (2010),
    doi:10.2202/1544-6115.1585. The bins follow the reference and are taken as given; where that has been measured, down
    to twenty clusters on a side, false alarms stayed at alpha.

    Args:
        reference: (n_clusters, n_columns, n_bins).
        window: the same for other clusters; one at least on either side.
        rng: deals the clusters.
        n_permutations: how often.
    """
    pooled = np.concatenate([reference, window])
    n_all, n_columns, n_bins = pooled.shape
    cumulated = np.cumsum(pooled, axis=2)[:, :, :-1].reshape(n_all, -1).astype(np.float32)
    total = cumulated.sum(axis=0, dtype=np.float64).astype(np.float32)
    is_window = (np.arange(n_all) >= len(reference)).astype(np.float32)
    observed = largest_gap(reference.mean(axis=0), window.mean(axis=0)) - TOLERANCE
    n_as_large = np.ones(n_columns)
    with threadpool_limits(limits=1, user_api="blas"):  # sums depend on their order
        for start in range(0, n_permutations, BATCH):
            dealt = rng.permuted(np.tile(is_window, (min(BATCH, n_permutations - start), 1)), axis=1)
            # mean of the window - mean of the rest = sum of the window (1 / n + 1 / rest) - sum of all / rest
            gaps = dealt @ cumulated * np.float32(1 / len(window) + 1 / len(reference)) - total / len(reference)
            n_as_large += (np.abs(gaps).reshape(-1, n_columns, n_bins - 1).max(axis=2) >= observed).sum(axis=0)
    return n_as_large / (1 + n_permutations)


def holm(p_values: Float64s) -> Float64s:
    """Each p-value as it counts among all: alarms at those up to alpha hold a false one with chance alpha at most.

    The k-th least of m is multiplied by m - k + 1, is 1 at most, and never lower than one before it. The promise holds
    however the columns depend on each other.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 65-70.

    >>> holm(np.array([0.01, 0.5, 0.02])).round(4)
    array([0.03, 0.5 , 0.04])
    """
    order: npt.NDArray[np.intp] = np.argsort(p_values, kind="stable")
    raised = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(raised, 1)
    return corrected
