"""The retrieval model of one slice of time as arrays: its parts, the vectors that are searched, and its files.

The vector of a user or an item is that of its towers, EASE, trend and bias, one after the other. So a score is a dot
product: towers . towers + weight x EASE . EASE + trend + 1 x bias.

Nothing here imports torch, which takes seconds and 200 MB: training needs it, answering does not. Files are
safetensors, which hold numbers and cannot run code: one per slice.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import JsonValue
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from recsys_core.arrays import Float32s, Int64s, read_array, write_array
from recsys_core.data.histories import NEVER, Catalogue, Histories, recency
from recsys_core.data.ratings_table import ratings_digest
from recsys_core.data.splits import Splits, fit_ratings
from recsys_core.days import moment
from recsys_core.errors import REBUILD, ArtifactError
from recsys_core.features.neighbours import Neighbours
from recsys_core.retrieval.covisits import CoVisits
from recsys_core.retrieval.ease import EaseFactors
from recsys_core.retrieval.rating_model import RatingModel
from recsys_core.retrieval.trend import Trend
from recsys_core.tables import write_table

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class UserEncoder:
    """The user tower without torch: the arithmetic of `towers.TwoTower.users` on arrays.

    Eager torch spends most of a single request on bookkeeping, and would compute the vectors of all items at each
    request. Here they are computed once. A user alone and in a batch of a thousand gets the same bits, because each
    sum runs over the user's own history, oldest first.
    """

    rated: Float32s  # (n_items, dim) an item as part of a history
    rating_weight: Float32s  # (n_levels,) by half stars
    place_bias: Float32s  # (n_places,)
    age_bias: Float32s  # (n_ages,)
    everyone: Float32s  # (dim,) the vector that all users share

    @property
    def dim(self) -> int:
        """Length of a vector without its last entry."""
        return len(self.everyone)

    def encode(self, users: Histories) -> Float32s:
        """(n_users, dim + 1) user vectors, the last entry 1; an empty history gives the shared vector."""
        weight, amount = self._weights(users)
        pooled = users.weighted_sums(weight, self.rated)  # (n_users, dim)
        vectors = pooled / amount[:, None] + self.everyone
        return np.concatenate([vectors, np.ones((users.n_users, 1), dtype=np.float32)], axis=1)

    def encode_ratings(self, users: Histories) -> Float32s:
        """(n_ratings, dim) contribution of each rating to its user's vector; with `everyone` they sum to `encode`."""
        weight, amount = self._weights(users)
        added: Float32s = self.rated[users.item_idx] * (weight / amount[users.rows])[:, None]
        return added

    def _weights(self, users: Histories) -> tuple[Float32s, Float32s]:
        """(n_ratings,) the weight of each rating, and (n_users,) the divisor of each user's sum."""
        clocks = recency(users)
        fresh = np.exp(self.place_bias[clocks.place] + self.age_bias[clocks.age])
        weight: Float32s = self.rating_weight[np.round(users.ratings * 2).astype(np.int64) - 1] * fresh
        amount = np.bincount(users.rows, weights=fresh, minlength=users.n_users).astype(np.float32)
        return weight, np.sqrt(amount + np.float32(1))


@dataclass(frozen=True, kw_only=True)
class LinearParts:
    """The parts that are fitted without gradient training, in seconds instead of minutes."""

    ease: EaseFactors
    trend: Trend
    rating_model: RatingModel
    covisits: CoVisits
    neighbours: Neighbours


@dataclass(frozen=True, kw_only=True)
class RetrievalModel:
    """All parts, their catalogue, and the training losses; `user_vectors` and `item_vectors` join the parts."""

    user_encoder: UserEncoder
    trained_items: Float32s  # (n_items, dim + 1) output of the item tower, the last entry the bias
    linear: LinearParts
    ease_weight: float
    catalogue: Catalogue
    first_rated_at: Int64s  # (n_items,) seconds UTC or NEVER; an item is no negative and no rated candidate before it
    new_item_share: float  # of the candidates, for items that were never rated
    fit_end: int  # seconds UTC: it was fitted on ratings strictly before
    fitted_on: str  # `ratings_digest` of its training data
    losses: Float32s  # (n_epochs,) mean training loss per target

    @cached_property
    def rated(self) -> Int64s:
        """(n_rated,) item_idx of the items with ratings, which the index contains."""
        return np.flatnonzero(self.first_rated_at < NEVER)

    @property
    def rated_ids(self) -> Int64s:
        """(n_rated,) external ids of these items, ascending."""
        return self.catalogue.item_ids[self.rated]

    @cached_property
    def new(self) -> Int64s:
        """(n_new,) item_idx of the items without ratings, which have nothing but their content."""
        return np.flatnonzero(self.first_rated_at == NEVER)

    @property
    def ease(self) -> EaseFactors:
        """EASE as vectors."""
        return self.linear.ease

    @property
    def trend(self) -> Trend:
        """Popularity by time."""
        return self.linear.trend

    @property
    def rating_model(self) -> RatingModel:
        """Predicted stars."""
        return self.linear.rating_model

    @property
    def covisits(self) -> CoVisits:
        """Co-visitation: items that are rated soon after others."""
        return self.linear.covisits

    @property
    def neighbours(self) -> Neighbours:
        """The latest users."""
        return self.linear.neighbours


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
    ease = model.ease.encode_users(users)  # (n_users, rank)
    return np.concatenate([trained[:, :-1], ease, model.trend.encode_users(users), trained[:, -1:]], axis=1)


def rating_vectors(model: RetrievalModel, users: Histories) -> Float32s:
    """(n_ratings, dim + rank + bins + 1) contribution of each rating to its user's vector.

    Parts that do not depend on a single rating are zero: the shared vector, the trend, and the 1 for the bias.
    """
    trained = model.user_encoder.encode_ratings(users)  # (n_ratings, dim)
    ease = model.ease.encode_ratings(users)  # (n_ratings, rank)
    shared = np.zeros((len(trained), model.trend.n_bins + 1), dtype=np.float32)
    return np.concatenate([trained, ease, shared], axis=1)


def item_vectors(model: RetrievalModel) -> Float32s:
    """(n_items, dim + rank + bins + 1); they include the weights of the parts, so that user vectors do not."""
    trained = model.trained_items
    ease = model.ease.target_factors * np.float32(model.ease_weight)  # (n_items, rank)
    return np.concatenate([trained[:, :-1], ease, model.trend.item_factors, trained[:, -1:]], axis=1)


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


def save_retrieval_models(models: Mapping[str, RetrievalModel], folder: Path) -> None:
    """Write `<slice>.safetensors` per model, and the loss of every epoch in `training.parquet`."""
    for name, model in models.items():
        _save(model, folder / f"{name}.safetensors")
    curves = [
        pl.DataFrame({"epoch": np.arange(1, len(model.losses) + 1), "loss": model.losses}).select(
            pl.lit(name).alias("slice"), "epoch", "loss"
        )
        for name, model in models.items()
    ]
    write_table(pl.concat(curves), folder / "training.parquet")


def retrieval_facts(models: Mapping[str, RetrievalModel]) -> dict[str, JsonValue]:
    """Facts for the manifest: the training data of each model, and the cut-off of the last."""
    *_, last = models.values()
    digests = {f"fitted_on.{name}": model.fitted_on for name, model in models.items()}
    return {**digests, "learned_until": moment(last.fit_end)}


def fitted_digest(ratings: pl.DataFrame, clicks: pl.DataFrame | None, splits: Splits, name: str) -> str:
    """The digest of what models of a slice may be fitted on."""
    known = None if clicks is None else fit_ratings(clicks, splits, name)
    return ratings_digest(fit_ratings(ratings, splits, name), known)


def load_retrieval_model(folder: Path, name: str) -> RetrievalModel:
    """The model of one slice, ready to encode.

    Raises:
        ArtifactError: there is no such model, older code wrote it, or the file is damaged.
    """
    path = folder / f"{name}.safetensors"
    try:
        with safe_open(path, framework="np") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # the handle is no mapping
            about = json.loads(file.metadata()["tower"])
        if "rated.weight" in arrays:  # a parameter of torch's module, which was stored before
            raise ArtifactError(f"{path} was written by older code, which needed torch to answer: {REBUILD}")
        return _model(arrays, about)
    # The last three are a header that is still readable but names other arrays or keys.
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as fault:
        raise ArtifactError(f"{path} is missing or damaged: {REBUILD}") from fault


def _model(arrays: Arrays, about: dict[str, float]) -> RetrievalModel:
    n_items = len(arrays["item_ids"])
    return RetrievalModel(
        user_encoder=UserEncoder(
            rated=arrays["user_encoder.rated"],
            rating_weight=arrays["user_encoder.rating_weight"],
            place_bias=arrays["user_encoder.place_bias"],
            age_bias=arrays["user_encoder.age_bias"],
            everyone=arrays["user_encoder.everyone"],
        ),
        trained_items=arrays["trained_items"],
        linear=_linear_parts(arrays, about, n_items),
        ease_weight=about["ease_weight"],
        new_item_share=about["new_item_share"],
        catalogue=Catalogue(item_ids=arrays["item_ids"]),
        first_rated_at=arrays["first_rated_at"],
        fit_end=int(about["fit_end"]),
        fitted_on=str(about["fitted_on"]),
        losses=arrays["losses"],
    )


def _linear_parts(arrays: Arrays, about: dict[str, float], n_items: int) -> LinearParts:
    return LinearParts(
        ease=EaseFactors(
            history_factors=arrays["ease.history_factors"],
            gains=arrays["ease.gains"],
            recency_power=about["ease_recency_power"],
        ),
        trend=Trend(starts=arrays["trend.starts"], item_factors=arrays["trend.item_factors"]),
        rating_model=RatingModel(
            mean=about["rating_mean"],
            biases=arrays["rating_model.biases"],
            factors=arrays["rating_model.factors"],
            gains=arrays["rating_model.gains"],
        ),
        covisits=CoVisits(
            offsets=arrays["covisits.offsets"],
            followers=arrays["covisits.followers"].astype(np.int64),
            lifts=arrays["covisits.lifts"],
        ),
        neighbours=Neighbours(
            offsets=arrays["neighbours.offsets"],
            item_idx=arrays["neighbours.item_idx"].astype(np.int64),
            evidence=arrays["neighbours.evidence"],
            recency=arrays["neighbours.recency"],
            n_items=n_items,
        ),
    )


def _save(model: RetrievalModel, path: Path) -> None:
    arrays = {
        "user_encoder.rated": model.user_encoder.rated,
        "user_encoder.rating_weight": model.user_encoder.rating_weight,
        "user_encoder.place_bias": model.user_encoder.place_bias,
        "user_encoder.age_bias": model.user_encoder.age_bias,
        "user_encoder.everyone": model.user_encoder.everyone,
        "trained_items": model.trained_items,
        "item_ids": model.catalogue.item_ids,
        "first_rated_at": model.first_rated_at,
        "losses": model.losses,
        "ease.history_factors": model.ease.history_factors,
        "ease.gains": model.ease.gains,
        "trend.starts": model.trend.starts,
        "trend.item_factors": model.trend.item_factors,
        "covisits.offsets": model.covisits.offsets,
        "covisits.followers": model.covisits.followers.astype(np.int32),  # half the bytes
        "covisits.lifts": model.covisits.lifts,
        "neighbours.offsets": model.neighbours.offsets,
        "neighbours.item_idx": model.neighbours.item_idx.astype(np.int32),  # half the bytes
        "neighbours.evidence": model.neighbours.evidence,
        "neighbours.recency": model.neighbours.recency,
        "rating_model.biases": model.rating_model.biases,
        "rating_model.factors": model.rating_model.factors,
        "rating_model.gains": model.rating_model.gains,
    }
    about = {
        "fit_end": model.fit_end,
        "fitted_on": model.fitted_on,
        "ease_weight": model.ease_weight,
        "new_item_share": model.new_item_share,
        "ease_recency_power": model.ease.recency_power,
        "rating_mean": model.rating_model.mean,
    }
    # safetensors copies the memory of an array as it lies, so that one in another order would be stored transposed.
    rows = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # One metadata entry, because safetensors writes several in an order that changes from run to run.
    save_file(rows, path, metadata={"tower": json.dumps(about, sort_keys=True)})
