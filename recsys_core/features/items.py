"""Features of items: popularity, ratings and age of a movie.

They change slowly and are the same for all users, so they are computed once, as of a cut-off, and looked up per
request.
"""

import numpy as np
import polars as pl

from recsys_core.arrays import Float32s
from recsys_core.data.schemas import PREVIEW_YEARS
from recsys_core.days import DAY_S
from recsys_core.features.feature import CENTURIES, LONGEST_DAYS, feature
from recsys_core.features.point_in_time import ItemCounts, ratio, share

RATINGS = ("ratings.item_id", "ratings.timestamp")
LIKES = (*RATINGS, "ratings.rating")


@feature(entity="item", unit="share", high=1.0, sources=RATINGS, default=0.0, max_age_days=1_461)
def item_popularity_share(items: ItemCounts) -> Float32s:
    """Share of all ratings so far that are of the item; a share, not a count, so that slices are comparable."""
    return share(items.n_ratings, items.all_ratings)


@feature(entity="item", unit="share", high=1.0, sources=RATINGS, default=0.0, max_age_days=1_461)
def item_recent_share(items: ItemCounts) -> Float32s:
    """The same over the last 30 days: current popularity."""
    return share(items.n_recent, items.all_recent)


@feature(entity="item", unit="share", high=1.0, sources=RATINGS, default=0.0, max_age_days=1_461)
def item_year_share(items: ItemCounts) -> Float32s:
    """The same over the last 365 days."""
    return share(items.n_year, items.all_year)


@feature(entity="item", unit="share", high=1.0, sources=LIKES, default=0.0, max_age_days=1_461)
def item_newest_like_share(items: ItemCounts) -> Float32s:
    """Share of the latest 2 % of all ratings that are likes of the item: recent likes.

    A span of ratings instead of days, so that quiet and busy years are comparable.
    """
    return share(items.n_newest_likes[:, 0], items.n_newest[:, 0])


@feature(entity="item", unit="share", high=1.0, sources=LIKES, default=0.0, max_age_days=1_461)
def item_newer_like_share(items: ItemCounts) -> Float32s:
    """The same over the latest 5 %."""
    return share(items.n_newest_likes[:, 1], items.n_newest[:, 1])


@feature(entity="item", unit="share", high=1.0, sources=LIKES, default=0.0, max_age_days=1_461)
def item_new_like_share(items: ItemCounts) -> Float32s:
    """The same over the latest 20 %."""
    return share(items.n_newest_likes[:, 2], items.n_newest[:, 2])


@feature(entity="item", unit="share", high=1.0, sources=LIKES, may_be_missing=True, max_age_days=1_461)
def item_like_share(items: ItemCounts) -> Float32s:
    """Share of the item's ratings that are likes; missing without ratings."""
    return ratio(items.n_likes, items.n_ratings)


@feature(
    entity="item",
    unit="stars",
    low=0.5,
    high=5.0,
    sources=LIKES,
    may_be_missing=True,
    max_age_days=1_461,
)
def item_mean_rating(items: ItemCounts) -> Float32s:
    """Mean of the item's ratings; missing without ratings."""
    return ratio(items.half_stars, 2 * items.n_ratings)


@feature(entity="item", unit="days", high=LONGEST_DAYS, sources=RATINGS, may_be_missing=True, max_age_days=1_461)
def item_days_known(items: ItemCounts) -> Float32s:
    """Days since the item was first rated; missing without ratings."""
    days = (items.times - items.first_at) / DAY_S
    return np.where(items.n_ratings > 0, days, np.nan).astype(np.float32)


@feature(
    entity="item", unit="years", low=-PREVIEW_YEARS, high=CENTURIES, sources=("movies.year",), may_be_missing=True,
    max_age_days=1_461,
)  # fmt: skip
def item_age_years(items: ItemCounts) -> Float32s:
    """Year (UTC) of the cut-off minus year of release; missing if the title names no year."""
    counted_in = pl.from_epoch(pl.Series(items.times), time_unit="s").dt.year().to_numpy()
    return (counted_in - items.years).astype(np.float32)
