"""What is summed up over a user's history, as integers: all that the user features are computed from.

Sums of integers, divided once: a rating may be added or taken back, in any order, and the result has the same bits as
one that was counted afresh.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.schemas import LIKED
from recsys_core.features.timelines import timeline_of

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class UserSums:
    """Sums over the ratings of each user, (n_users,) each."""

    n_ratings: Int64s
    n_likes: Int64s
    half_stars: Int64s  # of the ratings
    popularity: Int64s  # of the rated items: how many ratings each had
    n_liked_years: Int64s  # liked items whose year of release is known
    liked_years: Int64s  # the sum of these years
    all_ratings: int  # of all items: what popularity is a share of

    @classmethod
    def of_totals(cls, totals: Int64s, all_ratings: int) -> "UserSums":
        """Of the totals, (n_users, 6), of what `counted` gives for each rating."""
        return cls(
            n_ratings=totals[:, 0],
            n_likes=totals[:, 1],
            half_stars=totals[:, 2],
            popularity=totals[:, 3],
            n_liked_years=totals[:, 4],
            liked_years=totals[:, 5],
            all_ratings=all_ratings,
        )


def counted(ratings: Float32s, popularity: Int64s, years: Float32s) -> Int64s:
    """(n, 6): what each rating adds to the sums of its user.

    Args:
        ratings: (n,) stars.
        popularity: (n,) how many ratings the rated item had.
        years: (n,) of its release; NaN where unknown.
    """
    liked = ratings >= LIKED
    dated = liked & ~np.isnan(years)
    half_stars = np.round(ratings * 2).astype(np.int64)
    liked_years = np.where(dated, years, 0).astype(np.int64)
    return np.stack([np.ones_like(half_stars), liked, half_stars, popularity, dated, liked_years], axis=1)


def user_sums(ratings: pl.DataFrame, items: pl.DataFrame, user_ids: Int64s, times: Int64s) -> UserSums:
    """The sums of each (user, moment) over the user's ratings strictly before it; linear in the ratings, after a sort.

    Args:
        ratings: user_id, item_id, rating, timestamp, in any order. Where a user rates an item again, the later rating
            takes the place of the one before, of equal times the later row. Of items that are not in `items` nothing
            is known, and they are not counted.
        items: item_id, n_ratings, year, as of one cut-off.
        user_ids: (n,).
        times: (n,) seconds UTC.
    """
    known = ratings.join(items.select("item_id", "n_ratings", "year"), on="item_id", maintain_order="left")
    known = known.sort("timestamp", maintain_order=True)
    years = known["year"].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    added = counted(known["rating"].to_numpy(), known["n_ratings"].to_numpy(), years)
    replaced_at = known.select(pl.col("timestamp").shift(-1).over("user_id", "item_id")).to_series()
    gone = replaced_at.is_not_null().to_numpy()
    users, stamps = known["user_id"].to_numpy(), known["timestamp"].to_numpy()
    timeline = timeline_of(
        np.concatenate([users, users[gone]]),
        np.concatenate([stamps, replaced_at.drop_nulls().to_numpy()]),
        np.concatenate([added, -added[gone]]),
    )
    return UserSums.of_totals(timeline.before(user_ids, times), int(items["n_ratings"].sum()))
