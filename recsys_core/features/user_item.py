"""Features of a user and a candidate: retrieval score, taste, collaborative filtering, and fatigue.

Retrieval score. The score is a sum of three parts. The parts are features too, so that a tree can weigh them
differently. All are computed here from the vectors and not taken from the index, whose last bits depend on the batch.

Taste. The match of the candidate's genres, year and predicted rating with the user's likes.

Collaborative filtering. Similarities are cosines of the item tower's vectors. Associations are EASE weights: the weight
of history item j for candidate i is the dot product of j's history factors and i's target factors. Retrieval has
already used their sum; the features split it into likes, dislikes and the latest ratings, because their meanings
differ. Lifts compare how often users rate the candidate around the user's latest ratings with how often they rate it at
any time. Neighbours are recent users with similar ratings.

Fatigue. The number of recent requests that showed the candidate without a click or a rating.
"""

import numpy as np
import scipy.sparse as sp

from recsys_core.arrays import Float32s
from recsys_core.data.schemas import LIKED
from recsys_core.features.exposures import FATIGUE_S
from recsys_core.features.feature import CENTURIES, feature
from recsys_core.features.pairs import Pairs, dots, largest_dots
from recsys_core.features.users import OWN, user_mean_liked_year

VECTOR_SOURCES = ("two_tower.vectors", "ratings.timestamp")


@feature(entity="user-item", unit="logit", low=None, sources=VECTOR_SOURCES)
def pair_retrieval_score(pairs: Pairs) -> Float32s:
    """The retrieval score: the sum of all parts."""
    ease, trend = pairs.value(pair_closed_form_score), pairs.value(pair_trend_score)
    total: Float32s = pairs.value(pair_trained_score) + ease + trend
    return total


@feature(entity="user-item", unit="rank", low=1.0, sources=VECTOR_SOURCES)
def pair_retrieval_rank(pairs: Pairs) -> Float32s:
    """Rank of the item among the user's candidates, from 1."""
    return np.broadcast_to(np.arange(1, pairs.item_idx.shape[1] + 1, dtype=np.float32), pairs.item_idx.shape)


@feature(entity="user-item", unit="standard deviations", low=None, sources=VECTOR_SOURCES)
def pair_retrieval_z(pairs: Pairs) -> Float32s:
    """The retrieval score, standardised over the user's candidates: comparable between users."""
    present = pairs.is_candidate
    n = np.maximum(present.sum(axis=1, keepdims=True), 1)
    scores = np.where(present, pairs.value(pair_retrieval_score), np.float32(0)).astype(np.float64)
    mean = scores.sum(axis=1, keepdims=True) / n
    variance = (np.where(present, scores - mean, 0) ** 2).sum(axis=1, keepdims=True) / n
    z: Float32s = ((scores - mean) / np.sqrt(np.maximum(variance, 1e-12))).astype(np.float32)
    return z


@feature(entity="user-item", unit="standard deviations", low=None, sources=VECTOR_SOURCES)
def pair_closed_form_score(pairs: Pairs) -> Float32s:
    """The part of EASE: items that occur together."""
    return dots(pairs.target_factors, pairs.user_parts.ease)


@feature(entity="user-item", unit="logit", low=None, sources=VECTOR_SOURCES)
def pair_trained_score(pairs: Pairs) -> Float32s:
    """The part of the towers: taste, time, genres and popularity."""
    return dots(pairs.trained, pairs.user_parts.trained) + pairs.items.learned.biases[pairs.item_idx]


@feature(entity="user-item", unit="logit", low=None, sources=VECTOR_SOURCES)
def pair_trend_score(pairs: Pairs) -> Float32s:
    """The part of the trend: popularity around the time of the latest rating."""
    return dots(pairs.items.learned.trend.take(pairs.item_idx, axis=0), pairs.user_parts.trend)


GENRE_SOURCES = (*OWN, "ratings.rating", "movies.genres")

MOST_STARS = 20.0
"""Stars above or below the mean: a linear model may leave the scale, but not by several times its width."""


@feature(entity="user-item", unit="share", high=1.0, sources=GENRE_SOURCES, may_be_missing=True)
def pair_genre_affinity(pairs: Pairs) -> Float32s:
    """Mean share of the liked items' genres that the item's genres cover."""
    return _covered(pairs, pairs.users.mean_liked_genres())


@feature(entity="user-item", unit="share", high=1.0, sources=GENRE_SOURCES, may_be_missing=True)
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


SIMILARITY_SOURCES = (*OWN, "two_tower.vectors")
RATED_ASSOCIATION_SOURCES = (*OWN, "ratings.rating", "two_tower.closed_form")
ASSOCIATION_SOURCES = (*OWN, "two_tower.closed_form")
LIFT_SOURCES = (*OWN, "two_tower.covisits")

N_STRONGEST = 50
"""The strongest weight is taken over this many latest likes, to bound the work for users with thousands of ratings."""


@feature(entity="user-item", unit="cosine", low=-1.0, high=1.0, sources=SIMILARITY_SOURCES, may_be_missing=True)
def pair_recent_similarity_mean(pairs: Pairs) -> Float32s:
    """Mean cosine of the item's tower vector with those of the five latest ratings."""
    total = np.where(pairs.recent[:, None, :] >= 0, pairs.recent_cosines, np.float32(0)).sum(axis=2)
    mean: Float32s = total / pairs.n_recent
    return mean


@feature(entity="user-item", unit="cosine", low=-1.0, high=1.0, sources=SIMILARITY_SOURCES, may_be_missing=True)
def pair_recent_similarity_max(pairs: Pairs) -> Float32s:
    """The highest of these cosines: similarity to one recent item is enough."""
    cosines = np.where(pairs.recent[:, None, :] >= 0, pairs.recent_cosines, np.float32(-np.inf))
    highest = np.maximum.reduce([cosines[:, :, at] for at in range(cosines.shape[2])])  # max(axis=2), much faster
    return np.where(np.isneginf(highest), np.float32(np.nan), highest)


@feature(entity="user-item", unit="EASE weight", low=None, sources=RATED_ASSOCIATION_SOURCES, may_be_missing=True)
def pair_liked_association(pairs: Pairs) -> Float32s:
    """Mean weight of the liked items for the candidate."""
    return dots(pairs.target_factors, pairs.users.mean_liked())


@feature(entity="user-item", unit="EASE weight", low=None, sources=RATED_ASSOCIATION_SOURCES, may_be_missing=True)
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


@feature(entity="user-item", unit="EASE weight", low=None, sources=RATED_ASSOCIATION_SOURCES, may_be_missing=True)
def pair_disliked_association(pairs: Pairs) -> Float32s:
    """Mean weight of the items rated 2.5 stars or less."""
    return dots(pairs.target_factors, pairs.users.mean_disliked())


@feature(entity="user-item", unit="EASE weight", low=None, sources=ASSOCIATION_SOURCES, may_be_missing=True)
def pair_recent_association(pairs: Pairs) -> Float32s:
    """Mean weight of the five latest ratings."""
    history_factors = pairs.items.learned.history_factors[pairs.recent]  # (n_users, n_recent, rank)
    total = np.where(pairs.recent[:, :, None] >= 0, history_factors, np.float32(0)).sum(axis=1)
    return dots(pairs.target_factors, total / pairs.n_recent)


@feature(entity="user-item", unit="EASE weight", low=None, sources=ASSOCIATION_SOURCES, may_be_missing=True)
def pair_last_association(pairs: Pairs) -> Float32s:
    """Weight of the latest rating."""
    last = pairs.recent[:, 0]
    history_factors = np.where(last[:, None] >= 0, pairs.items.learned.history_factors[last], np.float32(np.nan))
    return dots(pairs.target_factors, history_factors)


@feature(entity="user-item", unit="log(1 + lift)", sources=LIFT_SOURCES, may_be_missing=True)
def pair_next_lift(pairs: Pairs) -> Float32s:
    """How much likelier users rate the item soon after the five latest ratings than at any time."""
    return _mean_lift(pairs, pairs.items.learned.following)


@feature(entity="user-item", unit="log(1 + lift)", sources=LIFT_SOURCES, may_be_missing=True)
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


EXPOSURE_SOURCES = (
    "impression_outcomes.user_id", "impression_outcomes.item_id", "impression_outcomes.shown_at",
    "implicit_feedback.timestamp", "ratings.timestamp",
)  # fmt: skip

LONG_AGO = np.iinfo(np.int64).min


@feature(entity="user-item", unit="requests", sources=EXPOSURE_SOURCES, default=0.0)
def pair_shown_unclicked(pairs: Pairs) -> Float32s:
    """Requests of the user in the 30 days before this one that showed the item, since it was last clicked or rated."""
    counts = np.zeros(pairs.item_idx.shape, dtype=np.float32)
    exposures, histories, n_items = pairs.exposures, pairs.users.histories, len(pairs.items.n_ratings)
    if exposures is None:
        return counts
    for user in np.flatnonzero(np.diff(exposures.shown.offsets)).tolist():
        answered_at = np.full(n_items, LONG_AGO)
        rated = slice(histories.offsets[user], histories.offsets[user + 1])
        answered_at[histories.item_idx[rated]] = histories.timestamps[rated]
        clicked, clicked_at = exposures.clicked.of(user)
        np.maximum.at(answered_at, clicked, clicked_at)
        shown, shown_at = exposures.shown.of(user)
        # An answer in the second of the slot is one to the slot.
        is_open = (shown_at > answered_at[shown]) & (shown_at >= exposures.requested_at[user] - FATIGUE_S)
        counts[user] = np.bincount(shown[is_open], minlength=n_items)[pairs.item_idx[user]]
    return counts
