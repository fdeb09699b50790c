"""The item tower's output for the whole catalogue."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys_core.errors import ArtifactError
from recsys_core.retrieval.training import FittedTower, encode_items

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ItemEmbeddings:
    """One vector per item of the catalogue, rows in the order of item_idx."""

    vectors: Float32s  # (n_items, dim + 1)
    item_ids: Int64s  # (n_items,) ascending

    def save(self, folder: Path) -> None:
        """Write both arrays as npy, without pickle."""
        np.save(folder / "vectors.npy", self.vectors, allow_pickle=False)
        np.save(folder / "item_ids.npy", self.item_ids, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "ItemEmbeddings":
        """Read both arrays.

        Raises:
            ArtifactError: they are missing or damaged.
        """
        try:
            vectors = np.load(folder / "vectors.npy", allow_pickle=False)
            item_ids = np.load(folder / "item_ids.npy", allow_pickle=False)
        except (OSError, ValueError) as fault:
            raise ArtifactError(f"the vectors in {folder} are missing or damaged: run `recsys refresh`") from fault
        return cls(vectors=vectors, item_ids=item_ids)


def embed_items(tower: FittedTower) -> ItemEmbeddings:
    """The vectors of all items that a tower knows."""
    return ItemEmbeddings(vectors=encode_items(tower.model), item_ids=tower.catalogue.item_ids)
