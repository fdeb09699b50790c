"""Questions of real people's data: moments at which somebody did something, or nearly."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_core.arrays import Int64s
from tests.core import embedded

NEAR = (-1, 0, 1, 30 * 86_400, 365 * 86_400)
"""Seconds from a rating to a moment at which a count may change: ties, and the ends of the windows."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """(n,) each: who is asked about, and when; a few are of nobody."""

    user_ids: Int64s
    item_ids: Int64s
    times: Int64s


def moments(n: int, seed: int) -> Moments:
    rng = np.random.default_rng(seed)
    ratings = embedded.ratings()
    rows = ratings[rng.integers(0, ratings.height, n)]
    others = ratings[rng.integers(0, ratings.height, n)]
    nobody = rng.random(n) < 0.05
    return Moments(
        user_ids=np.where(nobody, 10**7, rows["user_id"].to_numpy()),
        item_ids=np.where(nobody, 10**7, np.where(rng.random(n) < 0.5, rows["item_id"], others["item_id"])),
        times=rows["timestamp"].to_numpy() + rng.choice(NEAR, n),
    )


def futures(end: int) -> list[pl.DataFrame]:
    """Ratings from the second `end` on: what really came; and what did not, everybody's five stars for everything."""
    ratings = embedded.ratings()
    came = ratings.filter(pl.col("timestamp") >= end)
    strangers = pl.when(pl.int_range(pl.len()) % 2 == 1).then(10**6).otherwise(0)
    invented = ratings.select(
        pl.col("user_id").shuffle(seed=1) + strangers,
        "item_id",
        rating=pl.lit(5.0, pl.Float32),
        timestamp=end + pl.int_range(pl.len(), dtype=pl.Int64) // 50,
    ).unique(["user_id", "item_id"], keep="first", maintain_order=True)
    return [came, invented]
