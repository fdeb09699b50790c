"""Tables written out by hand, or drawn at random with many ties."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from recsys_core.data.schemas import MOVIES_COLUMNS, RATINGS, RATINGS_COLUMNS

T0 = 1_000_000_000
"""A second of 2001; times by hand count from here."""


def ratings_of(rows: Sequence[tuple[int, int, float, int]]) -> pl.DataFrame:
    """RATINGS from (user_id, item_id, stars, seconds after T0)."""
    return RATINGS.validate(every_rating_of(rows))


def every_rating_of(rows: Sequence[tuple[int, int, float, int]]) -> pl.DataFrame:
    """The same columns and order, of pairs that may have been rated more than once."""
    moved = [(user, item, stars, T0 + at) for user, item, stars, at in rows]
    table = pl.DataFrame(moved, schema=RATINGS_COLUMNS, orient="row")
    return table.sort("timestamp", "user_id", "item_id", maintain_order=True)


def movies_of(rows: Sequence[tuple[int, list[str], int | None]]) -> pl.DataFrame:
    """MOVIES from (item_id, genres, year)."""
    named = [(item, f"Movie {item}", genres, year) for item, genres, year in rows]
    return pl.DataFrame(named, schema=MOVIES_COLUMNS, orient="row")


def random_ratings(seed: int, n: int, *, n_users: int = 8, n_items: int = 12, n_seconds: int = 40) -> pl.DataFrame:
    """Up to n ratings, of which most share their second with another."""
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(n_users * n_items)[:n]
    stars, at = rng.integers(1, 11, n) / 2, rng.integers(0, n_seconds, n)
    rows = zip(
        (pairs // n_items + 1).tolist(), (pairs % n_items + 50).tolist(), stars.tolist(), at.tolist(), strict=False
    )
    return ratings_of(list(rows))


def shuffled(table: pl.DataFrame, seed: int = 3) -> pl.DataFrame:
    """The same rows in another order."""
    return table.sample(fraction=1.0, shuffle=True, seed=seed)
