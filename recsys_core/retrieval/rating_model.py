"""Predicted stars: means of all users, and the user's deviation from them by a linear model of residuals.

    predicted(u, i) = mean + bias_i + bias_u + sum over j in the history of u of r_uj  V_j . (g * V_i)

r_uj = stars - mean - bias_j - bias_u is the residual of a rating, V are the right singular vectors of the
matrix of these residuals, and g_k = s_k^2 / (s_k^2 + l2): the ridge regression of a user's residuals on those of all
users, with its largest factors only. Retrieval predicts what a user rates next; this model predicts how much they like
it, as a feature of the ranker. Biases shrunk as in Koren (2009), doi:10.1145/1644873.1644874, section 2.1.
"""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from recsys_core.arrays import Float32s
from recsys_core.data.histories import Histories
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.ease import largest_factors
from recsys_core.seeding import child

ITEM_SHRINK, USER_SHRINK = 10.0, 5.0
"""Pseudo-counts that shrink the biases of rarely rated items and of short histories to zero."""


@dataclass(frozen=True, kw_only=True)
class RatingModel:
    """Mean, biases, and factors of the residuals."""

    mean: float  # stars
    biases: Float32s  # (n_items,) stars
    factors: Float32s  # (n_items, rank) V
    gains: Float32s  # (rank,) g

    def encode_users(self, users: Histories) -> Float32s:
        """(n_users, rank) sum of r_uj V_j, times the gains; zeros for an empty history."""
        over_item = users.ratings - np.float32(self.mean) - self.biases[users.item_idx]
        sums = np.bincount(users.rows, weights=over_item, minlength=users.n_users)
        bias = (sums / (users.lengths + USER_SHRINK)).astype(np.float32)
        residuals = over_item - bias[users.rows]
        weighted: Float32s = users.weighted_sums(residuals, self.factors) * self.gains
        return weighted


def fit_rating_model(users: Histories, config: TwoTowerConfig) -> RatingModel:
    """Fit the model to some users' ratings; without ratings every prediction is 0 stars above a mean of 0."""
    n_ratings = len(users.ratings)
    mean = float(users.ratings.mean(dtype=np.float64)) if n_ratings else 0.0
    over_mean = users.ratings.astype(np.float64) - mean
    counts = np.bincount(users.item_idx, minlength=users.n_items)
    biases = np.bincount(users.item_idx, weights=over_mean, minlength=users.n_items) / (counts + ITEM_SHRINK)
    over_item = over_mean - biases[users.item_idx]
    own = np.bincount(users.rows, weights=over_item, minlength=users.n_users) / (users.lengths + USER_SHRINK)
    residuals = users.matrix((over_item - own[users.rows]).astype(np.float32)).astype(np.float64)
    rank = min(config.rating_dim, *residuals.shape)
    factors, gains = np.zeros((users.n_items, 0)), np.zeros(0)
    if rank >= 1:
        with threadpool_limits(limits=config.n_threads, user_api="blas"):  # sums depend on their order
            singular, factors = largest_factors(residuals, rank, child(config.seed, "two_tower", "rating_model"))
        gains = singular**2 / (singular**2 + config.rating_l2)
    return RatingModel(
        mean=mean,
        biases=biases.astype(np.float32),
        factors=np.ascontiguousarray(factors, dtype=np.float32),
        gains=gains.astype(np.float32),
    )
