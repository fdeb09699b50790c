"""Features of sequence: do people rate the candidate soon after what the user rated last?"""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys_core.features.feature import Float32s, feature
from recsys_core.features.pairs import Pairs, latest
from recsys_core.features.users import OWN

CHANCES = (*OWN, "two_tower.covisits")

N_SESSION = 20
"""Latest ratings that stand for the whole session."""


@feature(entity="user-item", unit="root of a chance", sources=CHANCES, may_be_missing=True)
def pair_next_chance(pairs: Pairs) -> Float32s:
    """Root of the mean chance that people rate the item soon after one of the five latest ratings."""
    return _mean_chance(pairs, pairs.recent)


@feature(entity="user-item", unit="root of a chance", sources=CHANCES, may_be_missing=True)
def pair_session_chance(pairs: Pairs) -> Float32s:
    """The same after one of the twenty latest ratings: the whole session."""
    histories = pairs.users.histories
    return _mean_chance(pairs, latest(histories.item_idx, histories.offsets, N_SESSION))


def _mean_chance(pairs: Pairs, recent: npt.NDArray[np.int64]) -> Float32s:
    """(n_users, n_candidates) root of the mean chance from the latest ratings, (n_users, n), to each candidate."""
    chances: sp.csr_array = pairs.items.learned.following
    total = np.empty(pairs.item_idx.shape, dtype=np.float32)
    for user, own in enumerate(recent):
        of_items = np.zeros(chances.shape[1], dtype=np.float32)
        for item in own[own >= 0]:
            part = slice(chances.indptr[item], chances.indptr[item + 1])
            of_items[chances.indices[part]] += chances.data[part]
        total[user] = of_items[pairs.item_idx[user]]
    n = (recent >= 0).sum(axis=1, keepdims=True)
    roots: Float32s = np.sqrt(total / np.where(n > 0, n, np.nan).astype(np.float32))
    return roots
