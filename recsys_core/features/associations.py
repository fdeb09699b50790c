"""Features of association: how strongly do the items of a history call for the candidate?

The weight of history item j for candidate i is shown_j . offered_i: what EASE adds to the score of i for having j. The
features split the sum that retrieval has already used: what was liked, what was disliked, and what came last may each
mean something else, and the ranker learns what.
"""

import numpy as np

from recsys_core.data.schemas import LIKED
from recsys_core.features.feature import Float32s, feature
from recsys_core.features.pairs import Pairs, dots, largest_dots
from recsys_core.features.users import OWN

N_STRONGEST = 50
"""Latest likes among which the strongest call is sought: it bounds the work for users with thousands of ratings."""

RATED = (*OWN, "ratings.rating", "two_tower.closed_form")
LATEST = (*OWN, "two_tower.closed_form")


@feature(entity="user-item", unit="EASE weight", low=None, sources=RATED, may_be_missing=True)
def pair_liked_association(pairs: Pairs) -> Float32s:
    """Mean weight with which the liked items call for the item."""
    return dots(pairs.offered, pairs.users.mean_liked())


@feature(entity="user-item", unit="EASE weight", low=None, sources=RATED, may_be_missing=True)
def pair_strongest_association(pairs: Pairs) -> Float32s:
    """The largest of these weights over the 50 latest likes: one good reason may be enough."""
    histories = pairs.users.histories
    strongest = np.full(pairs.item_idx.shape, np.nan, dtype=np.float32)
    for user in range(histories.n_users):
        own = slice(histories.offsets[user], histories.offsets[user + 1])
        likes = histories.item_idx[own][histories.ratings[own] >= LIKED][-N_STRONGEST:]
        if len(likes):
            strongest[user] = largest_dots(pairs.offered[user], pairs.items.learned.shown[likes])
    return strongest


@feature(entity="user-item", unit="EASE weight", low=None, sources=RATED, may_be_missing=True)
def pair_disliked_association(pairs: Pairs) -> Float32s:
    """Mean weight of the items rated 2.5 stars or less: what goes with a disappointment."""
    return dots(pairs.offered, pairs.users.mean_disliked())


@feature(entity="user-item", unit="EASE weight", low=None, sources=LATEST, may_be_missing=True)
def pair_recent_association(pairs: Pairs) -> Float32s:
    """Mean weight of the five latest ratings."""
    shown = pairs.items.learned.shown[pairs.recent]  # (n_users, n_recent, rank)
    total = np.where(pairs.recent[:, :, None] >= 0, shown, np.float32(0)).sum(axis=1)
    return dots(pairs.offered, total / pairs.n_recent)


@feature(entity="user-item", unit="EASE weight", low=None, sources=LATEST, may_be_missing=True)
def pair_last_association(pairs: Pairs) -> Float32s:
    """Weight of the latest rating."""
    last = pairs.recent[:, 0]
    shown = np.where(last[:, None] >= 0, pairs.items.learned.shown[last], np.float32(np.nan))
    return dots(pairs.offered, shown)
