"""The retrieval model of one slice of time: its parts, and its files.

Files are safetensors, which hold numbers and cannot run code: one per slice.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch
from pydantic import JsonValue
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import NEVER, Catalogue
from recsys_core.days import moment
from recsys_core.errors import REBUILD, ArtifactError
from recsys_core.features.neighbours import Neighbours
from recsys_core.retrieval.covisits import CoVisits
from recsys_core.retrieval.ease import EaseFactors
from recsys_core.retrieval.rating_model import RatingModel
from recsys_core.retrieval.towers import TwoTower, UserEncoder, user_encoder
from recsys_core.retrieval.trend import Trend
from recsys_core.tables import write_table


@dataclass(frozen=True, kw_only=True)
class LinearParts:
    """The parts in closed form, fitted beside the trained towers in seconds instead of minutes."""

    ease: EaseFactors
    trend: Trend
    rating_model: RatingModel
    covisits: CoVisits
    neighbours: Neighbours


@dataclass(frozen=True, kw_only=True)
class RetrievalModel:
    """All parts of the retriever, the items that they know, and how the training went; `vectors` joins them."""

    towers: TwoTower
    linear: LinearParts
    ease_weight: float
    catalogue: Catalogue
    first_rated_at: Int64s  # (n_items,) seconds UTC or NEVER: until then an item is no negative and no rated candidate
    new_item_share: float  # of the candidates, for items that were never rated
    fit_end: int  # seconds UTC: every rating that it saw lies strictly before
    fitted_on: str  # `ratings_digest` of the ratings that it saw
    losses: Float32s  # (n_epochs,) mean training loss per target

    @cached_property
    def rated(self) -> Int64s:
        """(n_rated,) item_idx of the items with ratings: those that are searched."""
        return np.flatnonzero(self.first_rated_at < NEVER)

    @property
    def rated_ids(self) -> Int64s:
        """(n_rated,) their outside ids, ascending."""
        return self.catalogue.item_ids[self.rated]

    @cached_property
    def new(self) -> Int64s:
        """(n_new,) item_idx of the others, of which nothing but the content is known."""
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

    @cached_property
    def user_encoder(self) -> UserEncoder:
        """The user tower for answering, without torch."""
        return user_encoder(self.towers)


def save_retrieval_models(models: Mapping[str, RetrievalModel], folder: Path) -> None:
    """Write `<slice>.safetensors` per tower, and the loss of every epoch in `training.parquet`."""
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
    """Facts for the manifest: the data that each tower was fitted on, and the cut-off of the last."""
    *_, last = models.values()
    digests = {f"fitted_on.{name}": model.fitted_on for name, model in models.items()}
    return {**digests, "learned_until": moment(last.fit_end)}


def load_retrieval_model(folder: Path, name: str) -> RetrievalModel:
    """The tower of one slice, ready to encode.

    Raises:
        ArtifactError: there is no such tower, or the file is damaged.
    """
    path = folder / f"{name}.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # the handle is no mapping
            about = json.loads(file.metadata()["tower"])
        return _model(tensors, about)
    # The last four are a header that is still readable but names other tensors, sizes or keys.
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as fault:
        raise ArtifactError(f"{path} is missing or damaged: {REBUILD}") from fault


def _model(tensors: dict[str, torch.Tensor], about: dict[str, float]) -> RetrievalModel:
    item_ids, losses = tensors.pop("item_ids").numpy(), tensors.pop("losses").numpy()
    first_rated_at = tensors.pop("first_rated_at").numpy()
    linear = _linear_parts(tensors, about, len(item_ids))
    with torch.device("meta"):  # no initial weights are drawn: all of them are replaced
        towers = TwoTower(tensors["content"].numpy(), tensors["log_popularity"].numpy(), int(about["dim"]))
    towers.load_state_dict(tensors, assign=True)
    return RetrievalModel(
        towers=towers.eval(),
        linear=linear,
        ease_weight=about["closed_form_weight"],
        new_item_share=about["new_item_share"],
        catalogue=Catalogue(item_ids=item_ids),
        first_rated_at=first_rated_at,
        fit_end=int(about["fit_end"]),
        fitted_on=str(about["fitted_on"]),
        losses=losses,
    )


def _linear_parts(tensors: dict[str, torch.Tensor], about: dict[str, float], n_items: int) -> LinearParts:
    """The parts that are fitted without training; removes their tensors."""
    ease = EaseFactors(
        history_factors=tensors.pop("closed_form.shown").numpy(),
        gains=tensors.pop("closed_form.gains").numpy(),
        recency_power=about["closed_form_recency"],
    )
    trend = Trend(starts=tensors.pop("trend.starts").numpy(), item_factors=tensors.pop("trend.offered").numpy())
    covisits = CoVisits(
        offsets=tensors.pop("covisits.offsets").numpy(),
        followers=tensors.pop("covisits.followers").numpy().astype(np.int64),
        lifts=tensors.pop("covisits.lifts").numpy(),
    )
    neighbours = Neighbours(
        offsets=tensors.pop("neighbours.offsets").numpy(),
        item_idx=tensors.pop("neighbours.item_idx").numpy().astype(np.int64),
        evidence=tensors.pop("neighbours.evidence").numpy(),
        recency=tensors.pop("neighbours.recency").numpy(),
        n_items=n_items,
    )
    rating_model = RatingModel(
        mean=about["rating_mean"],
        biases=tensors.pop("rating_model.biases").numpy(),
        factors=tensors.pop("rating_model.factors").numpy(),
        gains=tensors.pop("rating_model.gains").numpy(),
    )
    return LinearParts(ease=ease, trend=trend, rating_model=rating_model, covisits=covisits, neighbours=neighbours)


def _save(model: RetrievalModel, path: Path) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in model.towers.state_dict().items()}
    tensors["item_ids"] = torch.tensor(model.catalogue.item_ids)
    tensors["first_rated_at"] = torch.from_numpy(model.first_rated_at)
    tensors["losses"] = torch.from_numpy(model.losses)
    tensors["closed_form.shown"] = torch.from_numpy(model.ease.history_factors)
    tensors["closed_form.gains"] = torch.from_numpy(model.ease.gains)
    tensors["trend.starts"] = torch.from_numpy(model.trend.starts)
    tensors["trend.offered"] = torch.from_numpy(model.trend.item_factors)
    tensors["covisits.offsets"] = torch.from_numpy(model.covisits.offsets)
    tensors["covisits.followers"] = torch.from_numpy(model.covisits.followers.astype(np.int32))  # half the bytes
    tensors["covisits.lifts"] = torch.from_numpy(model.covisits.lifts)
    tensors["neighbours.offsets"] = torch.from_numpy(model.neighbours.offsets)
    tensors["neighbours.item_idx"] = torch.from_numpy(model.neighbours.item_idx.astype(np.int32))  # half the bytes
    tensors["neighbours.evidence"] = torch.from_numpy(model.neighbours.evidence)
    tensors["neighbours.recency"] = torch.from_numpy(model.neighbours.recency)
    tensors["rating_model.biases"] = torch.from_numpy(model.rating_model.biases)
    tensors["rating_model.factors"] = torch.from_numpy(model.rating_model.factors)
    tensors["rating_model.gains"] = torch.from_numpy(model.rating_model.gains)
    about = {
        "dim": model.towers.dim,
        "fit_end": model.fit_end,
        "fitted_on": model.fitted_on,
        "closed_form_weight": model.ease_weight,
        "new_item_share": model.new_item_share,
        "closed_form_recency": model.ease.recency_power,
        "rating_mean": model.rating_model.mean,
    }
    # One metadata entry, because safetensors writes several in an order that changes from run to run.
    save_file(tensors, path, metadata={"tower": json.dumps(about, sort_keys=True)})
