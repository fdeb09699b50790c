"""Items like those in the history: nearest neighbours by shrunken cosine."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from recsys_core.arrays import Float32s
from recsys_core.data.histories import Histories
from recsys_core.evaluation.baselines.config import BaselinesConfig, Input
from recsys_core.evaluation.baselines.scorer import PRIOR_WEIGHT, input_matrix, popularity_prior
from recsys_core.metrics.ranked_lists import TieBreak, sort_keys, tie_break_order

ITEM_KNN_GRID = tuple(
    {"item_knn_shrinkage": shrinkage, "item_knn_neighbours": neighbours}
    for neighbours in (200, 50, 400, 20)
    for shrinkage in (20.0, 5.0)
)
"""Likes only: with "all" each of these settings had a lower NDCG@10 on the validation period of the shipped data, and
with "rating" the best of them stayed below the best here (0.140 against 0.147)."""

BLOCK = 512
"""Items whose similarities to all others are held at once: at most 512 x n_items of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemKnnScorer:
    """Sums the similarities of an item to those of the history that are among its neighbours."""

    neighbour_of: sp.csr_array  # (n_items, n_items) float32; column j holds the similarities of j to its neighbours
    prior: Float32s  # (n_items,)
    kind: Input

    def score(self, histories: Histories) -> Float32s:
        """(n_users, n_items): for item j, the sum of x_ui sim(j, i) over the i that are in the history and near j."""
        personal: Float32s = (input_matrix(histories, self.kind) @ self.neighbour_of).toarray()
        return personal + PRIOR_WEIGHT * self.prior


def fit_item_knn(train: Histories, config: BaselinesConfig) -> ItemKnnScorer:
    """Find each item's most similar items.

    sim(i, j) = x_i . x_j / (|x_i| |x_j| + shrinkage), where x_i is the column of item i: who liked it. The shrinkage
    lowers the similarity of items with few users, whose cosine is high by chance. An item is no neighbour of itself.

    Source: Sarwar et al. (2001), doi:10.1145/371920.372071; shrinkage as in Ferrari Dacrema et al. (2019),
    doi:10.1145/3298689.3347058.
    """
    by_user = input_matrix(train, config.item_knn_input)
    by_item = by_user.T.tocsr()  # (n_items, n_users)
    norms = np.sqrt(by_item.multiply(by_item).sum(axis=1)).astype(np.float32)  # (n_items,)
    tie_break = tie_break_order(np.arange(train.n_items))
    blocks = []
    for start in range(0, train.n_items, BLOCK):
        similar = _similarities(by_item[start : start + BLOCK] @ by_user, norms, start, config.item_knn_shrinkage)
        blocks.append(_nearest(similar, config.item_knn_neighbours, tie_break))
    nearest = sp.vstack(blocks, format="csr")  # row j holds the similarities of j to its neighbours
    return ItemKnnScorer(neighbour_of=nearest.T.tocsr(), prior=popularity_prior(train), kind=config.item_knn_input)


def _similarities(shared: sp.csr_array, norms: Float32s, start: int, shrinkage: float) -> sp.csr_array:
    """(n_block, n_items) of the items from `start` on, from their dot products with all items; none with itself."""
    rows = start + np.repeat(np.arange(shared.shape[0]), np.diff(shared.indptr))
    is_other = rows != shared.indices
    rows, columns = rows[is_other], shared.indices[is_other]
    similar = shared.data[is_other] / (norms[rows] * norms[columns] + np.float32(shrinkage))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows - start, minlength=shared.shape[0]))])
    return sp.csr_array((similar, columns, offsets), shape=shared.shape)


def _nearest(similar: sp.csr_array, n_neighbours: int, tie_break: TieBreak) -> sp.csr_array:
    """(n_block, n_items): the highest similarities of each row, ties broken as everywhere."""
    keys = sort_keys(similar.data, tie_break[similar.indices])
    kept = np.ones(len(keys), dtype=np.bool_)
    for row in np.flatnonzero(np.diff(similar.indptr) > n_neighbours):
        own = slice(similar.indptr[row], similar.indptr[row + 1])
        kept[own] = keys[own] <= np.partition(keys[own], n_neighbours - 1)[n_neighbours - 1]
    offsets = np.concatenate([[0], np.cumsum(kept)])[similar.indptr]
    return sp.csr_array((similar.data[kept], similar.indices[kept], offsets), shape=similar.shape)
