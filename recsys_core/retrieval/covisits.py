"""What people rate next: the chance that an item is rated soon after another.

People rate in sessions, and what stands near in a session belongs together in ways that a bag of ratings cannot show:
the sequel, the list on the screen, the mood of an evening. For each item the ratings shortly after it, in all
histories, are counted, those of lately more than those of long ago, since the lists that people see change:

    chance(i -> j) = w(j within WINDOW ratings after i) / (w_i + SHRINK),   w = sum of .5^(age in half-lives)

Ratings of one second have no order: they count half in either direction (only where the window ends within a second do
the ids decide which of them it still holds). Known in shops as co-visitation, and the ranker's only view of sequence
beyond recency. Of each item the strongest followers are kept.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys_core.data.histories import Histories

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

WINDOW = 50
"""Ratings after an item that count as soon: with 10 a session's later part is not seen."""

HALF_LIFE_S = 2 * 365 * 86_400
"""Seconds after which a session counts half."""

SHRINK = 3.0
"""Ratings that pull a chance towards 0: of rare items one coincidence proves nothing."""

PAIRS_AT_ONCE = 2_000_000
"""Pairs of ratings that are counted together: bounds the memory at 50 MB."""

N_KEPT = 100
"""Followers kept of each item: it bounds the size at 100 x n_items."""


@dataclass(frozen=True, kw_only=True)
class CoVisits:
    """The kept chances, row by row as in a CSR matrix: item i owns `followers[offsets[i]:offsets[i + 1]]`."""

    offsets: Int64s  # (n_items + 1,)
    followers: Int64s  # (n,) item_idx
    chances: Float32s  # (n,)

    @cached_property
    def matrix(self) -> sp.csr_array:
        """(n_items, n_items) chance of the column soon after the row."""
        n_items = len(self.offsets) - 1
        return sp.csr_array((self.chances, self.followers, self.offsets), shape=(n_items, n_items))


def fit_covisits(users: Histories, fit_end: int) -> CoVisits:
    """Count and weigh what follows what in some histories; time and memory are linear in the ratings.

    Args:
        users: histories.
        fit_end: seconds UTC; ages are counted back from here.
    """
    weights = 0.5 ** ((fit_end - users.timestamps) / HALF_LIFE_S)  # (n_ratings,)
    counts = _counts(users, weights)
    ratings = np.bincount(users.item_idx, weights=weights, minlength=users.n_items).astype(np.float64) + SHRINK
    rows = np.repeat(np.arange(users.n_items), np.diff(counts.indptr))
    chances = (counts.data / ratings[rows]).astype(np.float32)
    kept = _strongest(counts, ratings)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=users.n_items))])
    return CoVisits(
        offsets=offsets.astype(np.int64), followers=counts.indices[kept].astype(np.int64), chances=chances[kept]
    )


def _strongest(counts: sp.csr_array, ratings: Float64s) -> Bools:
    """(n,) which entries are among the strongest followers of their item; equals in the order of the items.

    Strongest by count over the root of popularity: the lift alone would keep chance meetings of rare items.
    """
    strength = counts.data / np.sqrt(ratings[counts.indices])
    kept = np.ones(len(strength), dtype=np.bool_)
    for item in np.flatnonzero(np.diff(counts.indptr) > N_KEPT):
        start, end = counts.indptr[item], counts.indptr[item + 1]
        kept[start + np.argsort(-strength[start:end], kind="stable")[N_KEPT:]] = False
    return kept


def _counts(users: Histories, weights: Float64s) -> sp.csr_array:
    """(n_items, n_items) weight of the column's ratings within the window after the row; sorted indices."""
    total = sp.csr_array((users.n_items, users.n_items), dtype=np.float64)
    at_once = max(1, PAIRS_AT_ONCE // max(1, len(users.item_idx)))  # adding up matrices costs more than pairs
    for first in range(1, WINDOW + 1, at_once):
        parts = [_at_lag(users, weights, lag) for lag in range(first, min(first + at_once, WINDOW + 1))]
        rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        total = total + sp.csr_array((values, (rows, columns)), shape=total.shape)
    total.sort_indices()
    return total


def _at_lag(users: Histories, weights: Float64s, lag: int) -> tuple[Int64s, Int64s, Float64s]:
    """Rows, columns and weights of all pairs of ratings that lie so many places apart."""
    together = users.rows[lag:] == users.rows[:-lag]
    first, second = users.item_idx[:-lag][together], users.item_idx[lag:][together]
    is_tie = users.timestamps[:-lag][together] == users.timestamps[lag:][together]
    worth = weights[lag:][together] * np.where(is_tie, 0.5, 1.0)
    ties = np.flatnonzero(is_tie)
    return (
        np.concatenate([first, second[ties]]),
        np.concatenate([second, first[ties]]),
        np.concatenate([worth, worth[ties]]),
    )
