"""The earlier period of a drift report, in bins."""

from dataclasses import dataclass

from recsys_core.arrays import Float32s
from recsys_core.errors import DataError
from recsys_core.monitoring.binning import Counts, cluster_counts, fitted_edges
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.sample import Sample
from recsys_core.seeding import child


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The columns, where their bins end, and how many rows of each cluster lie in each bin."""

    names: tuple[str, ...]
    edges: Float32s  # (n_columns, n_edges)
    counts: Counts  # (n_clusters, n_columns, n_bins)

    @property
    def n_clusters(self) -> int:
        """How many clusters are kept."""
        return len(self.counts)

    def counts_of(self, sample: Sample) -> Counts:
        """Another sample in the bins of this reference.

        Raises:
            DataError: its columns are others, or stand in another order.
        """
        if sample.names != self.names:
            differing = sorted(set(sample.names) ^ set(self.names)) or ["their order"]
            raise DataError(
                f"the reference and the rows have different columns (differs: {', '.join(differing)}): compare rows "
                "that were read with one version of the features"
            )
        return cluster_counts(sample, self.edges)


def make_reference(sample: Sample, config: DriftConfig) -> Reference:
    """Bins fitted to the sample, and the sample in them. An empty sample gives no clusters, and no edges.

    Compare rows of one kind: the same number of places of each list, in the order of a ranker that stood in the same
    relation to them.
    """
    kept = sample.at_most(config.max_clusters, child(config.seed, "monitoring", "reference"))
    edges = fitted_edges(kept, config.n_bins)
    return Reference(names=kept.names, edges=edges, counts=cluster_counts(kept, edges))
