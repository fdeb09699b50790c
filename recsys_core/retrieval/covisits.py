"""Co-visitation: the lift of rating an item soon after another one over rating it at any time.

People rate in sessions, and items close to each other in a session are related in ways that a bag of ratings cannot
show: sequels, lists on the screen, the mood of an evening. For each item the ratings shortly after it are counted over
all histories; the lift compares the count with its expectation by popularity alone:

    lift(i -> j) = n(j within WINDOW ratings after i) x N / (WINDOW (n_i + SHRINK) (n_j + SHRINK))

with N ratings in all. Ratings of one second have no order: they count half in either direction (where the window ends
within a second, the ids decide which of them it contains). Co-visitation is the ranker's only view of sequence beyond
recency. For each item the strongest followers are kept.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from recsys_core.arrays import Bools, Float32s, Float64s, Int64s
from recsys_core.data.histories import Histories

WINDOW = 10
"""Ratings after an item that count as next; 5 and 20 gave a slightly worse ranking."""

SHRINK = 3.0
"""Pseudo-counts that shrink the lifts of rare items to 0."""

N_KEPT = 100
"""Followers kept per item: bounds the size at 100 x n_items."""


@dataclass(frozen=True, kw_only=True)
class CoVisits:
    """The kept lifts, row by row as in a CSR matrix: item i owns `followers[offsets[i]:offsets[i + 1]]`."""

    offsets: Int64s  # (n_items + 1,)
    followers: Int64s  # (n,) item_idx
    lifts: Float32s  # (n,)

    @cached_property
    def matrix(self) -> sp.csr_array:
        """(n_items, n_items) lift of the column soon after the row."""
        n_items = len(self.offsets) - 1
        return sp.csr_array((self.lifts, self.followers, self.offsets), shape=(n_items, n_items))

    @cached_property
    def reverse(self) -> sp.csr_array:
        """(n_items, n_items) lift of the column soon before the row."""
        return self.matrix.T.tocsr()


def fit_covisits(users: Histories) -> CoVisits:
    """Count followers in some histories and compute their lifts; time and memory are linear in the ratings."""
    counts = _counts(users)
    ratings: Float64s = np.bincount(users.item_idx, minlength=users.n_items).astype(np.float64) + SHRINK
    rows = np.repeat(np.arange(users.n_items), np.diff(counts.indptr))
    scale = len(users.item_idx) / (WINDOW * ratings[rows] * ratings[counts.indices])
    lifts = (counts.data * scale).astype(np.float32)
    kept = _strongest(counts, ratings)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=users.n_items))])
    return CoVisits(
        offsets=offsets.astype(np.int64), followers=counts.indices[kept].astype(np.int64), lifts=lifts[kept]
    )


def _strongest(counts: sp.csr_array, ratings: Float64s) -> Bools:
    """(n,) which entries are among the strongest followers of their item; ties in the order of the items.

    Strength is the count over the square root of popularity: the lift alone would keep coincidences of rare items.
    """
    strength = counts.data / np.sqrt(ratings[counts.indices])
    kept = np.ones(len(strength), dtype=np.bool_)
    for item in np.flatnonzero(np.diff(counts.indptr) > N_KEPT):
        start, end = counts.indptr[item], counts.indptr[item + 1]
        kept[start + np.argsort(-strength[start:end], kind="stable")[N_KEPT:]] = False
    return kept


def _counts(users: Histories) -> sp.csr_array:
    """(n_items, n_items) number of ratings of the column within the window after the row; sorted indices."""
    total = sp.csr_array((users.n_items, users.n_items), dtype=np.float64)
    for lag in range(1, WINDOW + 1):
        together = users.rows[lag:] == users.rows[:-lag]
        first, second = users.item_idx[:-lag][together], users.item_idx[lag:][together]
        is_tie = users.timestamps[:-lag][together] == users.timestamps[lag:][together]
        forward = np.where(is_tie, 0.5, 1.0)
        ties = np.flatnonzero(is_tie)
        pairs = np.concatenate([first, second[ties]]), np.concatenate([second, first[ties]])
        values = np.concatenate([forward, np.full(len(ties), 0.5)])
        total = total + sp.csr_array((values, pairs), shape=total.shape)
    total.sum_duplicates()
    total.sort_indices()
    return total
