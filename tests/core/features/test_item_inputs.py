"""The item side: the rows of the catalogue, and what is made of them ahead."""

import numpy as np
import polars as pl
import pytest

from recsys_core.data.histories import Catalogue
from recsys_core.features.item_inputs import FIXED_POINT, GENRES, ItemInputs, item_inputs
from recsys_core.features.registry import names_of
from recsys_core.features.tables import item_features
from tests import tiny_world
from tests.core.features.asked import random_vectors, side_of
from tests.core.tables_by_hand import T0, movies_of, ratings_of, shuffled

MOVIES = movies_of([(10, ["Comedy", "War"], 1990), (20, [], None), (30, ["War"], 2001)])
RATINGS = ratings_of([(1, 10, 4.0, 0), (2, 10, 3.0, 1), (1, 20, 2.0, 2), (1, 30, 5.0, 3)])
ITEMS = item_features(RATINGS, MOVIES, T0 + 100)


def gathered(items: pl.DataFrame, item_ids: list[int]) -> ItemInputs:
    vectors = random_vectors(len(item_ids), np.random.default_rng(0))
    catalogue = Catalogue(item_ids=np.array(item_ids))
    return item_inputs(items, names_of("item"), catalogue, vectors, as_of=T0 + 100)


def test_rows_are_those_of_the_catalogue_whatever_the_order_of_the_table() -> None:
    side = gathered(ITEMS, [10, 20, 30])
    assert side.n_ratings.tolist() == [2, 1, 1]
    assert side.years.tolist() == pytest.approx([1990, np.nan, 2001], nan_ok=True)
    assert side.has_genres.tolist() == [True, False, True]
    assert (side.all_ratings, side.as_of) == (4, T0 + 100)
    for name, column in zip(names_of("item"), side.features.T, strict=True):
        assert column.tolist() == pytest.approx(ITEMS[name].fill_null(float("nan")).to_list(), nan_ok=True)
    again = gathered(shuffled(ITEMS), [10, 20, 30])
    assert np.array_equal(again.features, side.features, equal_nan=True)


def test_an_item_that_the_table_lacks_has_nothing_that_is_known() -> None:
    side = gathered(ITEMS, [10, 15, 30])
    assert np.isnan(side.features[1]).all()
    assert (side.n_ratings[1], side.has_genres[1], np.isnan(side.years[1])) == (0, False, True)
    assert np.isfinite(side.features[[0, 2]]).all()


def test_types_are_those_that_the_ranker_and_the_sums_read() -> None:
    side = gathered(ITEMS, [10, 15, 30])
    assert side.features.dtype == side.years.dtype == side.genre_shares.dtype == np.float32
    assert side.n_ratings.dtype == side.fixed_genre_shares.dtype == side.fixed_history_factors.dtype == np.int64
    assert side.features.flags.c_contiguous


def test_genres_are_told_as_shares_and_as_marks() -> None:
    side = gathered(ITEMS, [10, 20, 30])
    assert side.genre_shares.sum(axis=1).tolist() == [1, 0, 1]
    assert [{GENRES[at] for at in np.flatnonzero(row)} for row in side.genres] == [{"Comedy", "War"}, set(), {"War"}]
    assert set(side.genres.ravel().tolist()) == {0.0, 1.0}


def test_a_vector_of_nothing_stays_nothing_and_all_others_have_length_one() -> None:
    side = side_of([[3, 4], [0, 0], [0, -2]])
    assert side.unit_vectors.tolist() == [pytest.approx([0.6, 0.8]), [0, 0], [0, -1]]


def test_grains_are_as_fine_as_the_vectors_and_cannot_run_over() -> None:
    side = side_of([[0.1, -0.1], [1 / 3, 3.7]])
    assert np.abs(side.fixed_history_factors / FIXED_POINT - side.learned.history_factors).max() <= 0.5 / FIXED_POINT
    assert side.fixed_history_factors[0].tolist() == [
        round(float(np.float32(0.1)) * FIXED_POINT),
        -round(float(np.float32(0.1)) * FIXED_POINT),
    ]
    longest_history, largest_entry = 10**6, 2**18
    assert longest_history * largest_entry * FIXED_POINT < 2**63


def test_every_item_of_the_tiny_world_finds_its_row() -> None:
    items = item_features(tiny_world.ratings(), tiny_world.movies(), tiny_world.FIRST_DAY + 2000 * tiny_world.DAY)
    side = gathered(items, items["item_id"].to_list())
    assert side.n_ratings.tolist() == items["n_ratings"].to_list()
    assert side.all_ratings == items["n_ratings"].sum()
