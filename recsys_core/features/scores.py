"""Features of retrieval: the candidate's retrieval score, its parts, and its rank.

The score is a sum of three parts. The parts are features too, so that a tree can weight them differently. All are
computed here from the vectors and not taken from the index, whose last bits depend on the size of the batch.
"""

import numpy as np

from recsys_core.arrays import Float32s
from recsys_core.features.feature import feature
from recsys_core.features.pairs import Pairs, dots

VECTORS = ("two_tower.vectors", "ratings.timestamp")


@feature(entity="user-item", unit="logit", low=None, sources=VECTORS)
def pair_retrieval_score(pairs: Pairs) -> Float32s:
    """The retrieval score: the sum of all parts."""
    ease, trend = pairs.value(pair_closed_form_score), pairs.value(pair_trend_score)
    total: Float32s = pairs.value(pair_trained_score) + ease + trend
    return total


@feature(entity="user-item", unit="rank", low=1.0, sources=VECTORS)
def pair_retrieval_rank(pairs: Pairs) -> Float32s:
    """Rank of the item among the user's candidates, from 1."""
    return np.broadcast_to(np.arange(1, pairs.item_idx.shape[1] + 1, dtype=np.float32), pairs.item_idx.shape)


@feature(entity="user-item", unit="standard deviations", low=None, sources=VECTORS)
def pair_retrieval_z(pairs: Pairs) -> Float32s:
    """The retrieval score, standardised over the user's candidates: comparable between users."""
    present = pairs.is_candidate
    n = np.maximum(present.sum(axis=1, keepdims=True), 1)
    scores = np.where(present, pairs.value(pair_retrieval_score), np.float32(0)).astype(np.float64)
    mean = scores.sum(axis=1, keepdims=True) / n
    variance = (np.where(present, scores - mean, 0) ** 2).sum(axis=1, keepdims=True) / n
    z: Float32s = ((scores - mean) / np.sqrt(np.maximum(variance, 1e-12))).astype(np.float32)
    return z


@feature(entity="user-item", unit="standard deviations", low=None, sources=VECTORS)
def pair_closed_form_score(pairs: Pairs) -> Float32s:
    """The part of EASE: items that occur together."""
    return dots(pairs.target_factors, pairs.user_parts.ease)


@feature(entity="user-item", unit="logit", low=None, sources=VECTORS)
def pair_trained_score(pairs: Pairs) -> Float32s:
    """The part of the towers: taste, time, genres and popularity."""
    return dots(pairs.trained, pairs.user_parts.trained) + pairs.items.learned.biases[pairs.item_idx]


@feature(entity="user-item", unit="logit", low=None, sources=VECTORS)
def pair_trend_score(pairs: Pairs) -> Float32s:
    """The part of the trend: popularity around the time of the latest rating."""
    return dots(pairs.items.learned.trend.take(pairs.item_idx, axis=0), pairs.user_parts.trend)
