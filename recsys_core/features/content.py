"""Content of items as vectors: genres and period of release."""

import numpy as np
import polars as pl

from recsys_core.arrays import Float32s

GENRES = (
    "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir",
    "Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""GroupLens' own list. It is fixed, so that a column means the same genre in every data set and every version."""

ALIASES = {"Children's": "Children"}
"""Names that the older data sets (100K, 1M) give to the same genre."""

_COLUMNS = {name: GENRES.index(ALIASES.get(name, name)) for name in (*GENRES, *ALIASES)}

FIRST_PERIOD, PERIOD_YEARS, N_PERIODS = 1915, 5, 24
"""Periods of five years from 1915 to 2034; earlier and later years fall into the outermost periods."""


def genre_matrix(genres: pl.Series) -> Float32s:
    """(n_items, 19) of 0 and 1: the genres of each item. A genre outside GroupLens' list is ignored."""
    lengths = genres.list.len()
    rows = np.repeat(np.arange(len(genres)), lengths.to_numpy())
    matrix = np.zeros((len(genres), len(GENRES)), dtype=np.float32)
    if len(rows):
        names = genres.filter(lengths > 0).explode()
        columns = names.replace_strict(_COLUMNS, default=-1, return_dtype=pl.Int64).to_numpy()
        matrix[rows[columns >= 0], columns[columns >= 0]] = 1
    return matrix


def genre_shares(genres: pl.Series) -> Float32s:
    """(n_items, 19): each item's weight of 1, spread evenly over its genres; a row of 0 where it has none."""
    matrix = genre_matrix(genres)
    shares: Float32s = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return shares


def period_matrix(years: pl.Series) -> Float32s:
    """(n_items, 24) of 0 and 1: the five years of release; a row of 0 where the year is unknown."""
    known = years.is_not_null().to_numpy()
    year = years.fill_null(FIRST_PERIOD).to_numpy()
    period = np.clip((year - FIRST_PERIOD) // PERIOD_YEARS, 0, N_PERIODS - 1)
    matrix = np.zeros((len(years), N_PERIODS), dtype=np.float32)
    matrix[np.flatnonzero(known), period[known]] = 1
    return matrix


def content_matrix(items: pl.DataFrame) -> Float32s:
    """(n_items, 43): genre shares beside the period; the item tower's view of what an item is."""
    return np.concatenate([genre_shares(items["genres"]), period_matrix(items["year"])], axis=1)
