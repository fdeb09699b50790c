"""What a model learned from, in bins: small enough to lie beside the model, and without any user's id.

On disk, `reference.json` holds the names and sizes, `edges.npy` the edges, and `cells.npy` with `counts.npy` the bins
that are not empty: 8 bytes each, about 1.7 kB for a user of ten rows (`python -m benchmarks.drift`).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys_core.errors import ArtifactError, DataError
from recsys_core.monitoring.binning import Counts, cluster_counts, fitted_edges, n_codes
from recsys_core.monitoring.config import ReferenceConfig
from recsys_core.monitoring.sample import Float32s, Sample
from recsys_core.retrieval.arrays import read_array, write_array
from recsys_core.seeding import child

UInt32s = npt.NDArray[np.uint32]
Int32s = npt.NDArray[np.int32]

FILE = "reference.json"


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
                "with the reference of the very model that read them"
            )
        return cluster_counts(sample, self.edges)

    def save(self, folder: Path) -> None:
        """Write four files into the folder. The same reference gives the same bytes."""
        cells = np.flatnonzero(self.counts)
        about = {"names": self.names, "n_clusters": self.n_clusters, "n_bins": n_codes(self.edges)}
        folder.joinpath(FILE).write_text(json.dumps(about, indent=1), encoding="utf-8")
        write_array(self.edges, folder / "edges.npy")
        write_array(cells.astype(np.uint32), folder / "cells.npy")
        write_array(self.counts.ravel()[cells], folder / "counts.npy")

    @classmethod
    def load(cls, folder: Path) -> "Reference":
        """Read a reference.

        Raises:
            ArtifactError: a file is missing or damaged, or the files do not belong together.
        """
        try:
            about = json.loads(folder.joinpath(FILE).read_text(encoding="utf-8"))
            names = tuple(str(name) for name in about["names"])
            shape = (int(about["n_clusters"]), len(names), int(about["n_bins"]))
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise _damaged(folder) from fault
        edges = read_array(folder / "edges.npy", np.float32, ndim=2)
        cells = read_array(folder / "cells.npy", np.uint32, ndim=1)
        filled = read_array(folder / "counts.npy", np.int32, ndim=1)
        if (len(edges), n_codes(edges)) != shape[1:] or not (_rise(edges) and _fit(cells, filled, shape)):
            raise _damaged(folder)
        counts = np.zeros(shape, dtype=np.int32)
        counts.ravel()[cells] = filled
        rows_of_cluster = counts.sum(axis=2)  # (n_clusters, n_columns): every column counts the same rows
        if rows_of_cluster.min() < 1 or np.ptp(rows_of_cluster, axis=1).any():
            raise _damaged(folder)
        return cls(names=names, edges=edges, counts=counts)


def make_reference(sample: Sample, config: ReferenceConfig) -> Reference:
    """Bins fitted to the sample, and the sample in them.

    Compare like with like: where ten places of each list are logged, take the first ten of the same ranker's order.

    Raises:
        DataError: the sample is empty.
    """
    if not len(sample.values):
        raise DataError("a reference needs rows to compare with, and there are none: take rows that a ranker has read")
    kept = sample.at_most(config.max_clusters, child(config.seed, "monitoring", "reference"))
    edges = fitted_edges(kept, config.n_bins)
    return Reference(names=kept.names, edges=edges, counts=cluster_counts(kept, edges))


def _rise(edges: Float32s) -> bool:
    """Whether no edge is below the one before it, or NaN."""
    return bool((edges[:, 1:] >= edges[:, :-1]).all())


def _fit(cells: UInt32s, filled: Int32s, shape: tuple[int, int, int]) -> bool:
    """Whether the filled cells lie within the shape, with a count above 0 each, and are enough for its clusters."""
    # Every column of every cluster fills a cell at least, so that a damaged size cannot ask for all of the memory.
    if min(shape) < 1 or len(cells) != len(filled) or len(cells) < shape[0] * shape[1]:
        return False
    return bool(cells.max() < math.prod(shape) and filled.min() > 0)


def _damaged(folder: Path) -> ArtifactError:
    return ArtifactError(
        f"the drift reference in {folder} is missing or damaged: run `recsys refresh` to build it again"
    )
