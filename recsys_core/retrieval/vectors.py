"""The searched vectors, one per user and one per item: towers, EASE, trend and bias, concatenated.

A score is the dot product: towers . towers + weight x EASE . EASE + trend + 1 x bias.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys_core.arrays import Float32s, Int64s, read_array, write_array
from recsys_core.data.histories import Histories
from recsys_core.errors import ArtifactError
from recsys_core.retrieval.model import RetrievalModel


@dataclass(frozen=True, kw_only=True)
class VectorLayout:
    """The place of each part in a vector."""

    trained: slice
    ease: slice
    trend: slice
    bias: slice


def vector_layout(model: RetrievalModel) -> VectorLayout:
    """The layout of a model's vectors."""
    ends = np.cumsum([model.user_encoder.dim, model.ease.rank, model.trend.n_bins]).tolist()
    return VectorLayout(
        trained=slice(0, ends[0]),
        ease=slice(ends[0], ends[1]),
        trend=slice(ends[1], ends[2]),
        bias=slice(ends[2], ends[2] + 1),
    )


def user_vectors(model: RetrievalModel, users: Histories) -> Float32s:
    """(n_users, dim + rank + bins + 1) of histories, as at serving time."""
    trained = model.user_encoder.encode(users)  # (n_users, dim + 1), the last entry 1
    closed = model.ease.encode_users(users)  # (n_users, rank)
    return np.concatenate([trained[:, :-1], closed, model.trend.encode_users(users), trained[:, -1:]], axis=1)


def rating_vectors(model: RetrievalModel, users: Histories) -> Float32s:
    """(n_ratings, dim + rank + bins + 1) contribution of each rating to its user's vector.

    Parts that do not depend on a single rating are zero: the shared vector, the trend, and the 1 for the bias.
    """
    trained = model.user_encoder.encode_ratings(users)  # (n_ratings, dim)
    closed = model.ease.encode_ratings(users)  # (n_ratings, rank)
    shared = np.zeros((len(trained), model.trend.n_bins + 1), dtype=np.float32)
    return np.concatenate([trained, closed, shared], axis=1)


def item_vectors(model: RetrievalModel) -> Float32s:
    """(n_items, dim + rank + bins + 1); they include the weights of the parts, so that user vectors do not."""
    trained = model.trained_items
    closed = model.ease.target_factors * np.float32(model.ease_weight)  # (n_items, rank)
    return np.concatenate([trained[:, :-1], closed, model.trend.item_factors, trained[:, -1:]], axis=1)


@dataclass(frozen=True, kw_only=True)
class ItemEmbeddings:
    """One vector per rated item of the catalogue, in the order of item_idx; items without ratings are left out."""

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
            ArtifactError: they are missing or damaged, or their lengths differ.
        """
        vectors = read_array(folder / "vectors.npy", np.float32, ndim=2)
        item_ids = read_array(folder / "item_ids.npy", np.int64, ndim=1)
        if len(vectors) != len(item_ids):
            raise ArtifactError(f"{folder} holds {len(vectors)} vectors for {len(item_ids)} items: rebuild them")
        return cls(vectors=vectors, item_ids=item_ids)


def lengths_of(embeddings: ItemEmbeddings) -> Float32s:
    """(n_items,) Euclidean lengths of the vectors: a longer vector scores higher with every user in its direction."""
    lengths: Float32s = np.linalg.norm(embeddings.vectors, axis=1)
    return lengths


def embed_items(model: RetrievalModel) -> ItemEmbeddings:
    """The vectors of the items that had ratings when the model was fitted."""
    return ItemEmbeddings(vectors=item_vectors(model)[model.rated], item_ids=model.rated_ids)
