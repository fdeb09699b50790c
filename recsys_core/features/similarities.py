"""Features of likeness: is the candidate near to what the user rated last, as the item tower sees items?"""

import numpy as np

from recsys_core.features.feature import Float32s, feature
from recsys_core.features.pairs import Pairs

SOURCES = ("ratings.user_id", "ratings.timestamp", "two_tower.vectors")


@feature(entity="user-item", unit="cosine", low=-1.0, high=1.0, sources=SOURCES, may_be_missing=True)
def pair_recent_similarity_mean(pairs: Pairs) -> Float32s:
    """Mean cosine of the item's trained vector with those of the five latest ratings."""
    total = np.where(pairs.recent[:, None, :] >= 0, pairs.recent_cosines, np.float32(0)).sum(axis=2)
    mean: Float32s = total / pairs.n_recent
    return mean


@feature(entity="user-item", unit="cosine", low=-1.0, high=1.0, sources=SOURCES, may_be_missing=True)
def pair_recent_similarity_max(pairs: Pairs) -> Float32s:
    """The highest of these cosines: near to one recent item is enough."""
    cosines = np.where(pairs.recent[:, None, :] >= 0, pairs.recent_cosines, np.float32(-np.inf))
    highest = np.maximum.reduce([cosines[:, :, at] for at in range(cosines.shape[2])])  # max(axis=2), much faster
    return np.where(np.isneginf(highest), np.float32(np.nan), highest)
