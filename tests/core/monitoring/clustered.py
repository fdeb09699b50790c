"""Rows that hang together by cluster, drawn so that the truth is known."""

from collections.abc import Sequence

import numpy as np

from recsys_core.monitoring.clustered_sample import ClusteredSample


def clustered(
    rng: np.random.Generator, n_clusters: int, n_rows: int = 10, n_columns: int = 8, *, shift: float = 0.0
) -> ClusteredSample:
    """Clusters of `n_rows` rows whose columns share nine tenths of their variance within a cluster.

    The last column but one is rounded to whole numbers, so that ties are heavy; the last is missing for a tenth of the
    clusters. `shift` moves the first column.
    """
    own = rng.normal(size=(n_clusters, 1, n_columns)) * 0.9**0.5
    values = own + rng.normal(size=(n_clusters, n_rows, n_columns)) * 0.1**0.5
    values[:, :, 0] += shift
    values[:, :, -2] = np.round(values[:, :, -2])
    values[rng.random(n_clusters) < 0.1, :, -1] = np.nan
    return ClusteredSample(
        names=tuple(f"c{column}" for column in range(n_columns)),
        values=values.reshape(-1, n_columns).astype(np.float32),
        clusters=np.repeat(rng.permutation(n_clusters), n_rows),
    )


def rows_of(*columns: Sequence[float], clusters: Sequence[int] | None = None) -> ClusteredSample:
    """Columns written out by hand; each row is a cluster of its own unless clusters are given."""
    values = np.array(columns, dtype=np.float32).T
    numbers = np.arange(len(values)) if clusters is None else np.array(clusters, dtype=np.int64)
    return ClusteredSample(names=tuple("abcdefgh"[: len(columns)]), values=values, clusters=numbers)
