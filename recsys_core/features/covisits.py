"""Features of sequence: do people rate the candidate soon after, or soon before, what the user rated last?"""

import numpy as np
import scipy.sparse as sp

from recsys_core.features.feature import Float32s, feature
from recsys_core.features.pairs import Pairs
from recsys_core.features.users import OWN

LIFTS = (*OWN, "two_tower.covisits")


@feature(entity="user-item", unit="log(1 + lift)", sources=LIFTS, may_be_missing=True)
def pair_next_lift(pairs: Pairs) -> Float32s:
    """How much likelier people rate the item soon after the five latest ratings than at any time."""
    return _mean_lift(pairs, pairs.items.learned.following)


@feature(entity="user-item", unit="log(1 + lift)", sources=LIFTS, may_be_missing=True)
def pair_before_lift(pairs: Pairs) -> Float32s:
    """The same for soon before them: neighbours in a session, whichever came first."""
    return _mean_lift(pairs, pairs.items.learned.preceding)


def _mean_lift(pairs: Pairs, lifts: sp.csr_array) -> Float32s:
    """(n_users, n_candidates) log of 1 + the mean lift from the latest ratings to each candidate."""
    total = np.empty(pairs.item_idx.shape, dtype=np.float32)
    for user, recent in enumerate(pairs.recent):
        of_items = np.zeros(lifts.shape[1], dtype=np.float32)
        for item in recent[recent >= 0]:
            own = slice(lifts.indptr[item], lifts.indptr[item + 1])
            of_items[lifts.indices[own]] += lifts.data[own]
        total[user] = of_items[pairs.item_idx[user]]
    logs: Float32s = np.log1p(total / pairs.n_recent)
    return logs
