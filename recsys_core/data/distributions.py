"""How ratings spread over stars and over movies: what a picture of them is drawn from."""

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.schemas import LIKED

Int64s = npt.NDArray[np.int64]


def ratings_by_stars(ratings: pl.DataFrame) -> pl.DataFrame:
    """rating, n: how often each number of stars was given, fewest stars first; those never given are left out."""
    return ratings.group_by("rating").agg(n=pl.len().cast(pl.Int64)).sort("rating")


def ratings_by_rank(ratings: pl.DataFrame) -> Int64s:
    """(n_items,) ratings of each rated movie, the most often rated first."""
    return ratings.group_by("item_id").len()["len"].cast(pl.Int64).sort(descending=True).to_numpy()


def about_ratings(ratings: pl.DataFrame) -> dict[str, int | float]:
    """Figures to follow from build to build: n_users, n_items, and of any ratings mean_rating, like_share, density.

    `density` is the share of all pairs of a user and a rated movie that were rated.
    """
    n_users, n_items = ratings["user_id"].n_unique(), ratings["item_id"].n_unique()
    counts: dict[str, int | float] = {"n_users": n_users, "n_items": n_items}
    if ratings.is_empty():
        return counts
    stars = ratings["rating"].cast(pl.Float64).to_numpy()
    return counts | {
        "mean_rating": float(stars.mean()),
        "like_share": float((stars >= LIKED).mean()),
        "density": ratings.height / (n_users * n_items),
    }
