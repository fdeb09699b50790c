"""Features of taste: match of the candidate's genres, year and predicted rating with the user."""

import numpy as np

from recsys_core.arrays import Float32s
from recsys_core.features.feature import CENTURIES, feature
from recsys_core.features.pairs import Pairs, dots
from recsys_core.features.users import OWN, user_mean_liked_year

GENRES = (*OWN, "ratings.rating", "movies.genres")

MOST_STARS = 20.0
"""Stars above or below the mean: a linear model may leave the scale, but not by several times its width."""


@feature(entity="user-item", unit="share", high=1.0, sources=GENRES, may_be_missing=True)
def pair_genre_affinity(pairs: Pairs) -> Float32s:
    """Mean share of the liked items' genres that the item's genres cover."""
    return _covered(pairs, pairs.users.mean_liked_genres())


@feature(entity="user-item", unit="share", high=1.0, sources=GENRES, may_be_missing=True)
def pair_recent_genre_affinity(pairs: Pairs) -> Float32s:
    """The same over the five latest ratings, likes or not: the genres of the session."""
    counted = (pairs.recent >= 0) & pairs.items.has_genres[pairs.recent]  # (n_users, n_recent)
    n = counted.sum(axis=1, keepdims=True)
    shares = np.where(counted[:, :, None], pairs.items.genre_shares[pairs.recent], np.float32(0))
    return _covered(pairs, (shares.sum(axis=1) / np.where(n > 0, n, np.nan)).astype(np.float32))


@feature(
    entity="user-item", unit="years", high=CENTURIES, sources=(*OWN, "ratings.rating", "movies.year"),
    may_be_missing=True,
)  # fmt: skip
def pair_year_distance(pairs: Pairs) -> Float32s:
    """Distance of the item's year of release from the mean year of the liked items."""
    liked = user_mean_liked_year(pairs.users.sums(pairs.items))
    distance: Float32s = np.abs(pairs.items.years[pairs.item_idx] - liked[:, None])
    return distance


@feature(
    entity="user-item",
    unit="stars",
    low=-MOST_STARS,
    high=MOST_STARS,
    sources=(*OWN, "ratings.rating", "two_tower.rating_model"),
)
def pair_predicted_rating(pairs: Pairs) -> Float32s:
    """Stars that the rating model predicts for the user and the item, above the mean of all and of the user."""
    learned = pairs.items.learned
    taste = dots(learned.rating_factors.take(pairs.item_idx, axis=0), pairs.user_parts.rating)
    return taste + learned.rating_biases[pairs.item_idx]


def _covered(pairs: Pairs, profiles: Float32s) -> Float32s:
    """(n_users, n_candidates) how much of each user's genres, (n_users, n_genres), the candidate's genres cover."""
    affinity = np.minimum(dots(pairs.genres, profiles), np.float32(1))
    return np.where(pairs.items.has_genres[pairs.item_idx], affinity, np.float32(np.nan))
