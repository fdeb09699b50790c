"""The vectors of the items, as they are searched."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys_core.errors import ArtifactError
from recsys_core.retrieval.arrays import read_array, write_array
from recsys_core.retrieval.encoding import item_vectors
from recsys_core.retrieval.training import FittedTower

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ItemEmbeddings:
    """One vector per rated item of the catalogue, in the order of item_idx; items without ratings are not searched."""

    vectors: Float32s  # (n_items, d)
    item_ids: Int64s  # (n_items,) ascending

    def save(self, folder: Path) -> None:
        """Write both arrays as npy, without pickle."""
        write_array(self.vectors, folder / "vectors.npy")
        write_array(self.item_ids, folder / "item_ids.npy")

    @classmethod
    def load(cls, folder: Path) -> "ItemEmbeddings":
        """Read both arrays.

        Raises:
            ArtifactError: they are missing or damaged, or do not belong together.
        """
        vectors = read_array(folder / "vectors.npy", np.float32, ndim=2)
        item_ids = read_array(folder / "item_ids.npy", np.int64, ndim=1)
        if len(vectors) != len(item_ids):
            raise ArtifactError(f"{folder} holds {len(vectors)} vectors for {len(item_ids)} items: rebuild them")
        return cls(vectors=vectors, item_ids=item_ids)


def lengths_of(embeddings: ItemEmbeddings) -> Float32s:
    """(n_items,) Euclidean lengths of the vectors: a long one has a high score with everybody who is near it."""
    lengths: Float32s = np.linalg.norm(embeddings.vectors, axis=1)
    return lengths


def embed_items(tower: FittedTower) -> ItemEmbeddings:
    """The vectors of the items that somebody had rated when a tower was fitted."""
    return ItemEmbeddings(vectors=item_vectors(tower)[tower.rated], item_ids=tower.rated_ids)
