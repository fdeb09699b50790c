"""A small world whose truth is known: four camps of users, each of which likes the movies of one group.

Ids are sparse and unlike row numbers, so that code that mixes the two fails here. Time runs over eight years: users
join throughout, come back for up to three sessions, and rate several movies in the same second; a fifth of the movies
come out late. Some movies have no genre, a genre outside GroupLens' list, or no year.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.schemas import MOVIES, MOVIES_COLUMNS, RATINGS, RATINGS_COLUMNS

N_USERS = 120
N_ITEMS = 80
N_CAMPS = 4
DAY = 86_400
FIRST_DAY = 1_262_304_000
"""2010-01-01, the first second of the world."""
N_DAYS = 8 * 365

USER_IDS: npt.NDArray[np.int64] = 11 + 3 * np.arange(N_USERS)
ITEM_IDS: npt.NDArray[np.int64] = 5_000 + 7 * np.arange(N_ITEMS)
CAMP_OF_USER: npt.NDArray[np.int64] = np.arange(N_USERS) % N_CAMPS
CAMP_OF_ITEM: npt.NDArray[np.int64] = np.arange(N_ITEMS) % N_CAMPS

GENRES_OF_CAMP = (["Action", "Thriller"], ["Comedy"], ["Drama", "Romance"], ["Animation", "Children", "Musical"])
NO_GENRES, ODD_GENRE, NO_YEAR = (20, 41), 42, (9, 63)
"""Row numbers of the movies whose description lacks something."""

_COMES_OUT = FIRST_DAY + DAY * np.where(np.arange(N_ITEMS) % 5 == 4, N_DAYS * np.arange(N_ITEMS) // N_ITEMS, 0)
_POPULARITY = 1 / (1 + np.argsort(np.random.default_rng(0).permutation(N_ITEMS)) // 4)


def likes() -> npt.NDArray[np.bool_]:
    """(N_USERS, N_ITEMS) the truth: whom each movie suits. Nine in ten ratings say so, one in ten is a whim."""
    return CAMP_OF_USER[:, None] == CAMP_OF_ITEM


def ratings(seed: int = 0) -> pl.DataFrame:
    """RATINGS: 2,600 to 2,900 of them; each user has at least four, prefers the own camp and rates a movie once."""
    rng = np.random.default_rng(seed)
    joined = FIRST_DAY + DAY * rng.integers(30, N_DAYS - 30, N_USERS)
    rows = [row for user in range(N_USERS) for row in _ratings_of(user, int(joined[user]), rng)]
    table = pl.DataFrame(rows, schema=RATINGS_COLUMNS, orient="row")
    return RATINGS.validate(table.sort("timestamp", "user_id", "item_id"))


def movies() -> pl.DataFrame:
    """MOVIES: all of them, rated or not."""
    genres = [list(GENRES_OF_CAMP[camp]) for camp in CAMP_OF_ITEM]
    genres[NO_GENRES[0]] = genres[NO_GENRES[1]] = []
    genres[ODD_GENRE] = ["Telenovela", "Drama"]
    years: list[int | None] = [int(1970 + item // 2) for item in range(N_ITEMS)]
    years[NO_YEAR[0]] = years[NO_YEAR[1]] = None
    columns = {"item_id": ITEM_IDS, "title": [f"Movie {item}" for item in range(N_ITEMS)], "genres": genres}
    return MOVIES.validate(pl.DataFrame(columns | {"year": years}, schema=MOVIES_COLUMNS))


def _ratings_of(user: int, joined: int, rng: np.random.Generator) -> list[tuple[int, int, float, int]]:
    """One user's rows: sessions of a few minutes, months apart, in which half the ratings share a second."""
    rows: list[tuple[int, int, float, int]] = []
    fresh = np.ones(N_ITEMS, dtype=bool)
    for start in joined + DAY * np.cumsum([0, *rng.integers(20, 400, rng.integers(0, 3))]):
        now = int(start + rng.integers(0, DAY))
        weights = np.where(fresh & (now >= _COMES_OUT), _POPULARITY * (1 + 3 * likes()[user]), 0)
        n = min(int(rng.integers(4, 20)), int((weights > 0).sum()))
        items = rng.choice(N_ITEMS, n, replace=False, p=weights / weights.sum())
        fresh[items] = False
        at = now + 10 * np.cumsum(rng.integers(0, 2, n))
        suits = likes()[user, items] ^ (rng.random(n) < 0.1)
        stars = np.where(suits, rng.integers(8, 11, n), rng.integers(1, 8, n)) / 2
        rows += [
            (int(USER_IDS[user]), int(ITEM_IDS[item]), float(star), int(second))
            for item, star, second in zip(items, stars, at, strict=True)
        ]
    return rows
