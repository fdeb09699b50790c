"""How strongly the items of a history call for a candidate, by the item-to-item weights of the closed form.

The weight of history item j for candidate i is shown_j . offered_i: what EASE adds to the score of i for having j. The
features split the sum that retrieval has already used: what was liked, what was disliked, and what came last may each
mean something else, and the ranker learns what.
"""

import numpy as np
import numpy.typing as npt

from recsys_core.data.histories import Histories
from recsys_core.data.schemas import LIKED

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DISLIKED = 2.5
"""A rating of at most this many stars is a dislike."""

N_RECENT = 5
"""Ratings that count as the current session: the ablations moved little between 3 and 10."""

N_STRONGEST = 50
"""Latest likes among which the strongest call is sought: it bounds the work for users with thousands of ratings."""


def association_features(
    users: Histories, candidates: Int64s, shown: Float32s, offered: Float32s
) -> dict[str, Float32s]:
    """The association features of the contract, each (n_users, n_candidates); NaN where the user has no such rating.

    Args:
        users: histories before the request.
        candidates: (n_users, n_candidates) item_idx; values where it is -1 are arbitrary.
        shown: (n_items, rank) items as part of a history.
        offered: (n_items, rank) items as answers.
    """
    liked = users.ratings >= LIKED
    answers = offered[candidates]  # (n_users, n_candidates, rank)

    def mean(chosen: Bools) -> Float32s:
        return _association(users.mean_rows(chosen, shown), answers)

    return {
        "pair_liked_association": mean(liked),
        "pair_strongest_association": _strongest(users, liked, shown, answers),
        "pair_disliked_association": mean(users.ratings <= DISLIKED),
        "pair_recent_association": mean(users.from_end <= N_RECENT),
        "pair_last_association": mean(users.from_end <= 1),
    }


def _association(vectors: Float32s, answers: Float32s) -> Float32s:
    # Not a matrix product: BLAS sums in another order for another number of candidates.
    association: Float32s = np.einsum("ucr,ur->uc", answers, vectors)
    return association


def _strongest(users: Histories, liked: Bools, shown: Float32s, answers: Float32s) -> Float32s:
    """The largest weight of any of the latest likes."""
    strongest = np.full(answers.shape[:2], np.nan, dtype=np.float32)
    for user in range(users.n_users):
        own = slice(users.offsets[user], users.offsets[user + 1])
        likes = users.item_idx[own][liked[own]][-N_STRONGEST:]
        if len(likes):
            strongest[user] = np.einsum("cr,lr->cl", answers[user], shown[likes]).max(axis=1)
    return strongest
