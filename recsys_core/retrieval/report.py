"""How much retrieval finds: recall on the validation slice, and what the index loses against exact search."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.histories import histories_of
from recsys_core.data.splits import TEST, VALIDATION, Splits, known_ratings, relevant_items
from recsys_core.metrics.ranking import recall_at_k
from recsys_core.metrics.relevance import hits_of
from recsys_core.retrieval.candidates import exact_candidates
from recsys_core.retrieval.embeddings import ItemEmbeddings
from recsys_core.retrieval.encoding import item_vectors, user_vectors
from recsys_core.retrieval.index import ItemIndex, index_recall
from recsys_core.retrieval.training import FittedTower
from recsys_core.tables import load_tables, save_tables

Float32s = npt.NDArray[np.float32]

RECALL_AT = (10, 20, 50, 100, 200, 500)
INDEX_RECALL_AT = 100


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """Tables of the report.

    Attributes:
        recall: k, user_id, recall of the validation slice's tower over the full catalogue.
        index_recall: user_id, recall: share of the serving tower's 100 best items that the index finds.
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
        """Mean recall at k over the users of the validation slice."""
        return float(self.recall.filter(k=k)["recall"].to_numpy().mean())

    def headline(self) -> dict[str, float]:
        """The figures worth following from run to run."""
        return {f"recall@{k}": self.mean_recall(k) for k in RECALL_AT} | {
            f"index_recall@{INDEX_RECALL_AT}": self.mean_index_recall()
        }

    def mean_index_recall(self) -> float:
        """Mean share of the exact answer that the index gives."""
        return float(self.index_recall["recall"].to_numpy().mean())


def retrieval_report(
    ratings: pl.DataFrame, splits: Splits, validation_tower: FittedTower, tower: FittedTower, index: ItemIndex
) -> RetrievalReport:
    """Recall of the validation tower, and of the index for the test users' queries, whose targets are not read."""
    queries = queries_of(ratings, splits, tower, TEST)
    found = index_recall(index, item_vectors(tower), queries, INDEX_RECALL_AT)
    return RetrievalReport(
        recall=validation_recall(ratings, splits, validation_tower),
        index_recall=pl.DataFrame({"user_id": splits.users_of(TEST), "recall": found}),
    )


def embeddings_match(embeddings: ItemEmbeddings, index: ItemIndex, tower: FittedTower, n: int = 100) -> float:
    """Largest difference between the index's scores and the towers' dot products, over n random items as queries.

    It is 0 up to rounding when tower, vectors and index belong together; any mix-up of ids or versions makes it large,
    and infinite where ids or shapes differ.
    """
    exact = item_vectors(tower)
    if not (
        np.array_equal(embeddings.item_ids, tower.catalogue.item_ids)
        and np.array_equal(index.item_ids, embeddings.item_ids)
        and embeddings.vectors.shape == exact.shape == (index.n_items, index.faiss_index.d)
    ):
        return float("inf")
    picked = np.random.default_rng(0).integers(0, len(exact), n)
    item_idx, scores = index.search(embeddings.vectors[picked], min(10, index.n_items))
    expected = np.einsum("qd,qkd->qk", exact[picked], exact[item_idx])
    return float(np.abs(scores - expected)[item_idx >= 0].max())  # an inverted file may find fewer


def queries_of(ratings: pl.DataFrame, splits: Splits, tower: FittedTower, name: str) -> Float32s:
    """(n_users, d) vectors of the users of a slice as of their cut, by ascending id."""
    known = known_ratings(ratings, splits, name)
    return user_vectors(tower, histories_of(known, tower.catalogue, splits.users_of(name)))


def validation_recall(ratings: pl.DataFrame, splits: Splits, tower: FittedTower) -> pl.DataFrame:
    """k, user_id, recall: the tower's candidates, by exact search, for the users of the validation slice."""
    users = histories_of(known_ratings(ratings, splits, VALIDATION), tower.catalogue, splits.users_of(VALIDATION))
    n = min(max(RECALL_AT), tower.catalogue.n_items)
    candidates = exact_candidates(item_vectors(tower), user_vectors(tower, users), users, n)
    ids = np.where(candidates.item_idx >= 0, tower.catalogue.item_ids[candidates.item_idx], -1)
    relevant = relevant_items(splits.targets.filter(slice=VALIDATION), users.user_ids)
    hits = hits_of(ids, relevant)
    return pl.concat(
        [
            pl.DataFrame({"user_id": users.user_ids, "recall": recall_at_k(hits[:, :k], relevant.counts)}).select(
                pl.lit(k, pl.Int64).alias("k"), "user_id", "recall"
            )
            for k in RECALL_AT
        ]
    )
