"""What does it cost to know what was known at the moment of every single rating?

Usage:
    python -m benchmarks.point_in_time [N_RATINGS ...]

For each of some synthetic ratings, strictly before its second: the counts behind the item features of its item, and the
sums behind the user features of its user. They are computed by running totals (`item_counts`, `user_sums`). For
comparison, the item's number of ratings alone is computed in the usual way: a table per item and day, and an as-of
join, which also ignores the hour. The figures are CPU seconds of one run each; the exponent is the slope of log seconds
over log ratings.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from benchmarks.growth import interactions
from recsys_core.days import DAY_S
from recsys_core.features.point_in_time import item_counts, user_sums
from recsys_core.markdown import markdown_table

SIZES = (100_000, 1_000_000, 5_000_000)


def by_totals(ratings: pl.DataFrame) -> None:
    """All item counts and all user sums, by running totals."""
    times, years = ratings["timestamp"].to_numpy(), np.full(ratings.height, 2000, dtype=np.float32)
    item_counts(ratings, ratings["item_id"].to_numpy(), times, years)
    items = ratings.group_by("item_id").agg(n_ratings=pl.len().cast(pl.Int64)).with_columns(year=pl.lit(2000, pl.Int32))
    user_sums(ratings, items, ratings["user_id"].to_numpy(), times)


def by_daily_tables(ratings: pl.DataFrame) -> None:
    """The number of ratings of each item up to the day before, by a table per day and an as-of join."""
    dated = ratings.with_columns(day=pl.col("timestamp") // DAY_S)
    daily = dated.group_by("item_id", "day").agg(n=pl.len()).sort("item_id", "day")
    totals = daily.with_columns(known=pl.col("n").cum_sum().over("item_id")).sort("day")
    asked = dated.with_columns(day=pl.col("day") - 1).sort("day")
    asked.join_asof(totals, on="day", by="item_id", strategy="backward", check_sortedness=False)


def cpu_seconds(work: Callable[[pl.DataFrame], None], ratings: pl.DataFrame) -> float:
    """CPU seconds of this process, over all threads."""
    started = time.process_time()
    work(ratings)
    return time.process_time() - started


def main(arguments: list[str]) -> None:
    """Print a row per size."""
    sizes = [int(one) for one in arguments] or list(SIZES)
    by_totals(interactions(2_000, seed=1))  # the preparations of a first call are not timed
    rows, costs = [], []
    for n in sizes:
        ratings = interactions(n, seed=1)
        costs.append(cpu_seconds(by_totals, ratings))
        joined = cpu_seconds(by_daily_tables, ratings)
        rows.append([f"{n:,}", f"{costs[-1]:.2f}", f"{1e6 * costs[-1] / n:.2f}", f"{joined:.2f}"])
    print(
        markdown_table(
            ["ratings", "running totals, all: CPU s", "us per rating", "daily as-of join, one count: CPU s"], rows
        )
    )
    if len(sizes) > 1:
        print(f"\nexponent of the running totals: {np.polyfit(np.log(sizes), np.log(costs), 1)[0]:.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
