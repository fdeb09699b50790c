"""Features of users: number, level and subjects of their ratings.

They are computed per request, from integer sums that each new rating updates, so they are never stale.
"""

from recsys_core.arrays import Float32s
from recsys_core.features.feature import feature
from recsys_core.features.point_in_time import UserSums, ratio

OWN = ("ratings.user_id", "ratings.timestamp")


@feature(entity="user", unit="ratings", sources=OWN)
def user_n_ratings(users: UserSums) -> Float32s:
    """Number of movies of the catalogue that the user rated so far: the sample size of the other user features."""
    return users.n_ratings.astype("float32")


@feature(entity="user", unit="share", high=1.0, sources=(*OWN, "ratings.rating"), may_be_missing=True)
def user_like_share(users: UserSums) -> Float32s:
    """Share of the user's ratings that are likes."""
    return ratio(users.n_likes, users.n_ratings)


@feature(entity="user", unit="stars", low=0.5, high=5.0, sources=(*OWN, "ratings.rating"), may_be_missing=True)
def user_mean_rating(users: UserSums) -> Float32s:
    """Mean of the user's ratings: 3.5 stars mean different things for strict and generous users."""
    return ratio(users.half_stars, 2 * users.n_ratings)


@feature(entity="user", unit="share", high=1.0, sources=(*OWN, "item_features.n_ratings"), may_be_missing=True)
def user_mean_popularity(users: UserSums) -> Float32s:
    """Mean popularity share of the rated movies: mainstream or niche taste."""
    return ratio(users.popularity, users.n_ratings * max(users.all_ratings, 1))


@feature(
    entity="user",
    unit="years",
    low=1870.0,
    high=2100.0,
    sources=(*OWN, "ratings.rating", "movies.year"),
    may_be_missing=True,
)
def user_mean_liked_year(users: UserSums) -> Float32s:
    """Mean year of release of the liked items."""
    return ratio(users.liked_years, users.n_liked_years)
