"""The item inputs of all features, computed once for a release.

Everything that depends on the item alone is computed in advance, so that a request gathers two hundred rows instead of
joining tables.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import Catalogue
from recsys_core.features.neighbours import Neighbours

FIXED_POINT = 1 << 24
"""Fixed-point scale of vectors that are summed over histories: the resolution of float32 just below 1, and a sum of a
million such integers is still exact in int64."""


@dataclass(frozen=True, kw_only=True)
class ItemVectors:
    """Vectors and models of items from retrieval, rows in the order of item_idx."""

    trained: Float32s  # (n_items, d) the item tower's output
    biases: Float32s  # (n_items,) of the item tower
    history_factors: Float32s  # (n_items, rank) EASE: an item as part of a history
    target_factors: Float32s  # (n_items, rank) EASE: an item as a target
    trend: Float32s  # (n_items, n_bins)
    following: sp.csr_array  # (n_items, n_items) lift of the column soon after the row
    preceding: sp.csr_array  # (n_items, n_items) lift of the column soon before the row
    neighbours: Neighbours
    rating_biases: Float32s  # (n_items,) stars above the mean of all ratings
    rating_factors: Float32s  # (n_items, rating_rank) of the rating model


@dataclass(frozen=True, kw_only=True)
class ItemInputs:
    """The item inputs of all features; row i is the item with `item_idx` i."""

    as_of: int  # seconds UTC: everything below is computed from ratings strictly before
    features: Float32s  # (n_items, n_item_features) in the order of the registry; NaN where missing
    n_ratings: Int64s  # (n_items,)
    years: Float32s  # (n_items,) NaN where unknown
    genre_shares: Float32s  # (n_items, n_genres)
    learned: ItemVectors

    @cached_property
    def has_genres(self) -> npt.NDArray[np.bool_]:
        """(n_items,) whether any genre of the item is known."""
        known: npt.NDArray[np.bool_] = self.genre_shares.sum(axis=1) > 0
        return known

    @cached_property
    def genres(self) -> Float32s:
        """(n_items, n_genres) of 0 and 1."""
        return (self.genre_shares > 0).astype(np.float32)

    @cached_property
    def fixed_genre_shares(self) -> Int64s:
        """(n_items, n_genres) fixed-point shares, for exact sums."""
        return _fixed_point(self.genre_shares)

    @cached_property
    def fixed_history_factors(self) -> Int64s:
        """(n_items, rank) fixed-point history factors, for exact sums."""
        return _fixed_point(self.learned.history_factors)

    @cached_property
    def unit_vectors(self) -> Float32s:
        """(n_items, d) the item tower's output, of length one."""
        length = np.linalg.norm(self.learned.trained, axis=1, keepdims=True)
        unit: Float32s = self.learned.trained / np.maximum(length, np.float32(1e-12))
        return unit

    @cached_property
    def all_ratings(self) -> int:
        """Ratings of all items together."""
        return int(self.n_ratings.sum())


def item_inputs(
    items: pl.DataFrame, names: list[str], catalogue: Catalogue, learned: ItemVectors, as_of: int
) -> ItemInputs:
    """Gather the item inputs from `item_features` and the item vectors.

    Args:
        items: `item_features` as of the cut-off. An item of the catalogue without a row has no features, genres,
            year or ratings.
        names: the item features, in the order of the registry.
        catalogue: gives the order of the rows.
        learned: rows in the order of the catalogue.
        as_of: seconds UTC.
    """
    rows = pl.DataFrame({"item_id": catalogue.item_ids}).join(items, on="item_id", how="left", maintain_order="left")
    return ItemInputs(
        as_of=as_of,
        features=rows.select(pl.col(names).cast(pl.Float32).fill_null(float("nan"))).to_numpy(order="c"),
        n_ratings=rows["n_ratings"].fill_null(0).to_numpy(),
        years=rows["year"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        genre_shares=genre_shares(rows["genres"].fill_null([])),
        learned=learned,
    )


def _fixed_point(vectors: Float32s) -> Int64s:
    fixed: Int64s = np.rint(vectors.astype(np.float64) * FIXED_POINT).astype(np.int64)
    return fixed


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
    """(n_items, 43): genre shares beside the period; the item tower's content input."""
    return np.concatenate([genre_shares(items["genres"]), period_matrix(items["year"])], axis=1)
