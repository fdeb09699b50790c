"""Rows as a ranker read them, in clusters of correlated rows.

The rows of one user are correlated, and those of one user and day nearly equal: a thousand rows of fifty people carry
about as much information about people as fifty rows do. The rows of one user therefore form a *cluster*, the unit that
the statistics of this stage resample.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Float32s, Int64s
from recsys_core.errors import DataError
from recsys_core.features.registry import FEATURE_NAMES

SCORE = "score"
"""Name of the column that holds the ranker's score, beside the features."""


@dataclass(frozen=True, kw_only=True)
class ClusteredSample:
    """The features that a ranker read and the scores that it gave in some period; empty without a request.

    Attributes:
        names: of the columns, each once.
        values: (n_rows, n_columns), NaN where missing.
        clusters: (n_rows,) the user of each row, by any number. A cluster spans all days, because the days of one user
            are correlated too.
    """

    names: tuple[str, ...]
    values: Float32s
    clusters: Int64s

    def __post_init__(self) -> None:
        """Refuse rows that cannot be compared.

        Raises:
            DataError: names, values and clusters do not fit each other, a name repeats, or a value is infinite.
        """
        if self.values.shape != (len(self.clusters), len(self.names)) or not self.names:
            raise DataError(
                f"expected values of shape ({len(self.clusters)} clusters, {len(self.names)} names), "
                f"found {self.values.shape}: give a number of a cluster for each row and a name for each column"
            )
        repeated = {name for name in self.names if self.names.count(name) > 1}
        if repeated:
            raise DataError(f"columns are named twice: {', '.join(sorted(repeated))}; name each once")
        infinite = np.argwhere(np.isinf(self.values))
        if len(infinite):
            row, column = infinite[0]
            raise DataError(
                f"{self.names[column]} is {self.values[row, column]} in row {row} ({len(infinite)} infinite values in "
                "all): correct the feature, or mark unknown values as NaN"
            )

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(np.unique(self.clusters))

    def of_rows(self, rows: npt.NDArray[np.bool_]) -> "ClusteredSample":
        """The rows that the mask (n_rows,) marks."""
        return replace(self, values=self.values[rows], clusters=self.clusters[rows])

    def at_most(self, n_clusters: int, rng: np.random.Generator) -> "ClusteredSample":
        """All rows of at most `n_clusters` clusters, drawn at random where there are more."""
        numbers = np.unique(self.clusters)
        if len(numbers) <= n_clusters:
            return self
        return self.of_rows(np.isin(self.clusters, rng.choice(numbers, n_clusters, replace=False)))


def scored_sample(features: Float32s, scores: Float32s, clusters: Int64s) -> ClusteredSample:
    """The features in the order of the registry and, as the last column, the score that a ranker gave.

    Args:
        features: (n_rows, n_features), in the order of the registry.
        scores: (n_rows,).
        clusters: (n_rows,) the user of each row.
    """
    return ClusteredSample(
        names=(*FEATURE_NAMES, SCORE), values=np.column_stack([features, scores]).astype(np.float32), clusters=clusters
    )
