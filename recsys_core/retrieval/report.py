"""The retrieval report: recall on the development windows, at the end and during training, and recall of the index."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recsys_core.data.histories import Histories, histories_of
from recsys_core.data.splits import NOW, Splits, known_ratings, relevant_items
from recsys_core.metrics.ranked_lists import hits_of
from recsys_core.metrics.ranking import recall_at_k
from recsys_core.retrieval.candidates import Retriever
from recsys_core.retrieval.index import ItemIndex, index_recall
from recsys_core.retrieval.model import ItemEmbeddings, RetrievalModel, item_vectors, user_vectors
from recsys_core.tables import load_tables, save_tables

if TYPE_CHECKING:  # imports torch, which reading a report does not need
    from recsys_core.retrieval.training import AfterEpoch

RECALL_AT = (10, 20, 50, 100, 200, 500)
INDEX_RECALL_AT = 100

N_LATEST = 500
"""Users whose queries evaluate the index: enough for three digits."""


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """Tables of the report.

    Attributes:
        recall: k, slice, user_id, recall of each development slice's model over the full catalogue.
        index_recall: user_id, recall: share of the serving model's 100 best items that the index finds.
    """

    recall: pl.DataFrame
    index_recall: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write one Parquet file per table."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "RetrievalReport":
        """Read all tables."""
        return load_tables(cls, folder)

    def mean_recall(self, k: int) -> float:
        """Mean recall at k over the users of the development windows."""
        return float(self.recall.filter(k=k)["recall"].to_numpy().mean())

    def headline(self) -> dict[str, float]:
        """Figures to compare from run to run."""
        return {f"recall@{k}": self.mean_recall(k) for k in RECALL_AT} | {
            f"index_recall@{INDEX_RECALL_AT}": self.mean_index_recall()
        }

    def mean_index_recall(self) -> float:
        """Mean share of the exact result that the index finds."""
        return float(self.index_recall["recall"].to_numpy().mean())


def retrieval_report(
    ratings: pl.DataFrame, splits: Splits, model_of: Callable[[str], RetrievalModel], index: ItemIndex
) -> RetrievalReport:
    """Recall of the models of the development windows, and of the serving model's index for the latest users.

    Args:
        ratings: RATINGS columns, every rating that was ever given.
        splits: with the targets of the development windows.
        model_of: the model of a slice.
        index: of the serving model.
    """
    serving = model_of(NOW)
    users = latest_users(ratings, serving)
    found = index_recall(index, item_vectors(serving)[serving.rated], user_vectors(serving, users), INDEX_RECALL_AT)
    names = [name for window in splits.development for name in splits.slices_of(window)]
    asking = [name for name in names if name in splits.asking]
    return RetrievalReport(
        recall=pl.concat([slice_recall(ratings, splits, model_of(name), name) for name in asking]),
        index_recall=pl.DataFrame({"user_id": users.user_ids, "recall": found}),
    )


def latest_users(ratings: pl.DataFrame, model: RetrievalModel, n: int = N_LATEST) -> Histories:
    """The histories of the users who rated last, by ascending id."""
    last = ratings.group_by("user_id").agg(pl.col("timestamp").max()).sort("timestamp", "user_id").tail(n)
    known = ratings.unique(["user_id", "item_id"], keep="last", maintain_order=True)
    return histories_of(known, model.catalogue, last["user_id"].sort().to_numpy())


def embeddings_match(embeddings: ItemEmbeddings, index: ItemIndex, model: RetrievalModel, n: int = 100) -> float:
    """Largest difference between the index's scores and the model's dot products, over n random items as queries.

    It is 0 up to rounding when model, vectors and index are of one build. Mixed versions make it large, and different
    ids or shapes make it infinite.
    """
    exact = item_vectors(model)[model.rated]  # not `embed_items`, whose error would agree with itself
    if not (
        np.array_equal(embeddings.item_ids, model.rated_ids)
        and np.array_equal(index.item_ids, embeddings.item_ids)
        and embeddings.vectors.shape == exact.shape == (index.n_items, index.faiss_index.d)
    ):
        return float("inf")
    picked = np.random.default_rng(0).integers(0, len(exact), n)
    item_idx, scores = index.search(embeddings.vectors[picked], min(10, index.n_items))
    expected = np.einsum("qd,qkd->qk", exact[picked], exact[item_idx])
    return float(np.abs(scores - expected)[item_idx >= 0].max())  # an inverted file may find fewer


def slice_recall(ratings: pl.DataFrame, splits: Splits, model: RetrievalModel, name: str) -> pl.DataFrame:
    """k, slice, user_id, recall: recall of the model's candidates, by exact search, for the users of a slice."""
    users = histories_of(known_ratings(ratings, splits, name), model.catalogue, splits.users_of(name))
    n = min(max(RECALL_AT), model.catalogue.n_items)
    requested_at = splits.requests(name).sort("user_id")["requested_at"].to_numpy()
    candidates = Retriever.of(model).candidates(user_vectors(model, users), users, requested_at, n)
    ids = np.where(candidates.item_idx >= 0, model.catalogue.item_ids[candidates.item_idx], -1)
    relevant = relevant_items(splits.targets.filter(slice=name), users.user_ids)
    hits = hits_of(ids, relevant)
    return pl.concat(
        [
            pl.DataFrame({"user_id": users.user_ids, "recall": recall_at_k(hits[:, :k], relevant.counts)}).select(
                pl.lit(k, pl.Int64).alias("k"), pl.lit(name).alias("slice"), "user_id", "recall"
            )
            for k in RECALL_AT
        ]
    )


N_LOOKS = 12
"""Points of the curve: enough to see its shape, at a small part of the training time."""

CURVE_RECALL_AT = 100
POINTS_COLUMNS: dict[str, pl.DataType] = {"epoch": pl.Int64(), "recall": pl.Float64()}


@dataclass(kw_only=True)
class ValidationCurve:
    """Recall on the last development slice during training: a callback for `fit_retrieval_models`.

    Training loss keeps falling; recall on held-out likes shows when a model overfits. The curve stops no training: the
    number of epochs is a setting, and the curve shows whether it still fits.

    Attributes:
        ratings: RATINGS columns, every rating that was ever given.
        splits: with the targets of the development windows; those of the test are not needed.
        n_epochs: of the training; the last epoch is always measured.
        tell: called with the name of each slice before its training.
    """

    ratings: pl.DataFrame
    splits: Splits
    n_epochs: int
    tell: Callable[[str], None] | None = None
    _points: list[tuple[int, float]] = field(default_factory=list)

    def __call__(self, name: str) -> "AfterEpoch | None":
        """The callback for the model of a slice; None for slices that are not measured."""
        if self.tell is not None:
            self.tell(name)
        return self._look if name == self._watched else None

    @cached_property
    def _watched(self) -> str:
        own = self.splits.slices_of(self.splits.development[-1])
        return [name for name in self.splits.asking if name in own][-1]

    def _look(self, epoch: int, model: RetrievalModel) -> None:
        """Measure the model at every n-th epoch."""
        every = max(1, self.n_epochs // N_LOOKS)
        if epoch % every == 0 or epoch == self.n_epochs:
            recall = slice_recall(self.ratings, self.splits, model, self._watched).filter(k=CURVE_RECALL_AT)["recall"]
            self._points.append((epoch, float(recall.to_numpy().mean())))

    def points(self) -> pl.DataFrame:
        """epoch, recall: mean recall at 100 of the whole model; the last point is that of the retrieval report."""
        return pl.DataFrame(self._points, schema=POINTS_COLUMNS, orient="row")
