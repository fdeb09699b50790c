"""Features of collaborative filtering: support of the candidate by the user's ratings and by similar users.

Similarities are cosines of the item tower's vectors. Associations are EASE weights: the weight of history item j for
candidate i is the dot product of j's history factors and i's target factors. Retrieval has already used their sum; the
features split it into likes, dislikes and the latest ratings, because their meanings differ. Lifts compare how often
users rate the candidate around the user's latest ratings with how often they rate it at any time. Neighbours are recent
users with similar ratings.
"""

import numpy as np
import scipy.sparse as sp

from recsys_core.arrays import Float32s
from recsys_core.data.schemas import LIKED
from recsys_core.features.feature import feature
from recsys_core.features.pairs import Pairs, dots, largest_dots
from recsys_core.features.users import OWN

SIMILARITY = (*OWN, "two_tower.vectors")
RATED_ASSOCIATION = (*OWN, "ratings.rating", "two_tower.closed_form")
ASSOCIATION = (*OWN, "two_tower.closed_form")
LIFTS = (*OWN, "two_tower.covisits")

N_STRONGEST = 50
"""The strongest weight is taken over this many latest likes, to bound the work for users with thousands of ratings."""


@feature(entity="user-item", unit="cosine", low=-1.0, high=1.0, sources=SIMILARITY, may_be_missing=True)
def pair_recent_similarity_mean(pairs: Pairs) -> Float32s:
    """Mean cosine of the item's tower vector with those of the five latest ratings."""
    total = np.where(pairs.recent[:, None, :] >= 0, pairs.recent_cosines, np.float32(0)).sum(axis=2)
    mean: Float32s = total / pairs.n_recent
    return mean


@feature(entity="user-item", unit="cosine", low=-1.0, high=1.0, sources=SIMILARITY, may_be_missing=True)
def pair_recent_similarity_max(pairs: Pairs) -> Float32s:
    """The highest of these cosines: similarity to one recent item is enough."""
    cosines = np.where(pairs.recent[:, None, :] >= 0, pairs.recent_cosines, np.float32(-np.inf))
    highest = np.maximum.reduce([cosines[:, :, at] for at in range(cosines.shape[2])])  # max(axis=2), much faster
    return np.where(np.isneginf(highest), np.float32(np.nan), highest)


@feature(entity="user-item", unit="EASE weight", low=None, sources=RATED_ASSOCIATION, may_be_missing=True)
def pair_liked_association(pairs: Pairs) -> Float32s:
    """Mean weight of the liked items for the candidate."""
    return dots(pairs.target_factors, pairs.users.mean_liked())


@feature(entity="user-item", unit="EASE weight", low=None, sources=RATED_ASSOCIATION, may_be_missing=True)
def pair_strongest_association(pairs: Pairs) -> Float32s:
    """The largest of these weights over the 50 latest likes: one strong association may be enough."""
    histories = pairs.users.histories
    strongest = np.full(pairs.item_idx.shape, np.nan, dtype=np.float32)
    for user in range(histories.n_users):
        own = slice(histories.offsets[user], histories.offsets[user + 1])
        likes = histories.item_idx[own][histories.ratings[own] >= LIKED][-N_STRONGEST:]
        if len(likes):
            strongest[user] = largest_dots(pairs.target_factors[user], pairs.items.learned.history_factors[likes])
    return strongest


@feature(entity="user-item", unit="EASE weight", low=None, sources=RATED_ASSOCIATION, may_be_missing=True)
def pair_disliked_association(pairs: Pairs) -> Float32s:
    """Mean weight of the items rated 2.5 stars or less."""
    return dots(pairs.target_factors, pairs.users.mean_disliked())


@feature(entity="user-item", unit="EASE weight", low=None, sources=ASSOCIATION, may_be_missing=True)
def pair_recent_association(pairs: Pairs) -> Float32s:
    """Mean weight of the five latest ratings."""
    history_factors = pairs.items.learned.history_factors[pairs.recent]  # (n_users, n_recent, rank)
    total = np.where(pairs.recent[:, :, None] >= 0, history_factors, np.float32(0)).sum(axis=1)
    return dots(pairs.target_factors, total / pairs.n_recent)


@feature(entity="user-item", unit="EASE weight", low=None, sources=ASSOCIATION, may_be_missing=True)
def pair_last_association(pairs: Pairs) -> Float32s:
    """Weight of the latest rating."""
    last = pairs.recent[:, 0]
    history_factors = np.where(last[:, None] >= 0, pairs.items.learned.history_factors[last], np.float32(np.nan))
    return dots(pairs.target_factors, history_factors)


@feature(entity="user-item", unit="log(1 + lift)", sources=LIFTS, may_be_missing=True)
def pair_next_lift(pairs: Pairs) -> Float32s:
    """How much likelier users rate the item soon after the five latest ratings than at any time."""
    return _mean_lift(pairs, pairs.items.learned.following)


@feature(entity="user-item", unit="log(1 + lift)", sources=LIFTS, may_be_missing=True)
def pair_before_lift(pairs: Pairs) -> Float32s:
    """The same for soon before them: items of one session, in either order."""
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


@feature(
    entity="user-item", unit="share", high=1.0001, sources=(*OWN, "ratings.rating", "two_tower.neighbours"),
    may_be_missing=True,
)  # fmt: skip
def pair_neighbour_share(pairs: Pairs) -> Float32s:
    """Share of the 100 most similar recent users, weighted by similarity and recency, who liked the item."""
    learned = pairs.items.learned
    return learned.neighbours.liked_share(pairs.users.histories, pairs.user_parts.evidence, pairs.item_idx)
