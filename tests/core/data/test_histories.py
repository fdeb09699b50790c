"""Users' ratings as offsets into flat arrays, and dense numbers for items."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.data.histories import Catalogue, Histories, catalogue_of, histories_of
from tests import tiny_world
from tests.core.tables_by_hand import T0, random_ratings, ratings_of, shuffled


@pytest.fixture
def users() -> Histories:
    """User 7 rated three items, two of them in one second; user 8 none; user 9 one."""
    ratings = ratings_of([(7, 30, 4.0, 5), (7, 10, 2.0, 9), (7, 20, 4.5, 5), (9, 20, 3.5, 1)])
    return histories_of(ratings, catalogue_of(ratings), np.array([7, 8, 9]))


def test_the_catalogue_numbers_rated_items_by_ascending_id() -> None:
    catalogue = catalogue_of(ratings_of([(1, 30, 4.0, 0), (2, 10, 1.0, 0), (3, 30, 5.0, 1)]))
    assert catalogue.item_ids.tolist() == [10, 30]
    assert catalogue.n_items == 2


def test_a_movie_that_nobody_rated_yet_is_not_offered() -> None:
    """That it is listed at all tells that somebody will rate it: the future."""
    before = tiny_world.ratings().filter(pl.col("timestamp") < tiny_world.FIRST_DAY + 800 * tiny_world.DAY)
    catalogue = catalogue_of(before)
    assert catalogue.n_items < tiny_world.N_ITEMS
    assert set(catalogue.item_ids.tolist()) == set(before["item_id"].to_list())


def test_an_unknown_id_has_no_number_and_the_shape_is_kept() -> None:
    catalogue = Catalogue(item_ids=np.array([10, 20, 30]))
    asked = np.array([[30, 31, 10], [-1, 20, 9]])
    assert catalogue.idx_of(asked).tolist() == [[2, -1, 0], [-1, 1, -1]]


@pytest.mark.parametrize("asked", [[], [3, 4]])
def test_an_empty_catalogue_knows_nothing(asked: list[int]) -> None:
    empty = Catalogue(item_ids=np.array([], dtype=np.int64))
    assert empty.idx_of(np.array(asked, dtype=np.int64)).tolist() == [-1] * len(asked)


@given(st.sets(st.integers(0, 50)), st.lists(st.integers(-1, 51)))
def test_numbers_lead_back_to_ids(ids: set[int], asked: list[int]) -> None:
    catalogue = Catalogue(item_ids=np.array(sorted(ids), dtype=np.int64))
    for item_id, idx in zip(asked, catalogue.idx_of(np.array(asked, dtype=np.int64)).tolist(), strict=True):
        assert catalogue.item_ids[idx] == item_id if idx >= 0 else item_id not in ids


def test_histories_by_hand(users: Histories) -> None:
    assert users.user_ids.tolist() == [7, 8, 9]
    assert users.offsets.tolist() == [0, 3, 3, 4]
    assert users.lengths.tolist() == [3, 0, 1]
    assert users.rows.tolist() == [0, 0, 0, 2]
    assert users.item_idx.tolist() == [1, 2, 0, 1], "oldest first; within a second by item"
    assert users.timestamps.tolist() == [T0 + 5, T0 + 5, T0 + 9, T0 + 1]
    assert users.ratings.tolist() == [4.5, 4.0, 2.0, 3.5]


@given(st.integers(0, 10_000), st.integers(0, 60))
@settings(max_examples=40)
def test_histories_agree_with_the_slow_loop(seed: int, n: int) -> None:
    ratings = random_ratings(seed, n)
    catalogue = Catalogue(item_ids=np.arange(52, 60))  # some items are unknown
    asked = np.array([2, 3, 5, 99])
    users = histories_of(shuffled(ratings), catalogue, asked)
    for row, user_id in enumerate(asked.tolist()):
        own = [r for r in ratings.iter_rows(named=True) if r["user_id"] == user_id and 52 <= r["item_id"] < 60]
        own.sort(key=lambda r: (r["timestamp"], r["item_id"]))
        part = slice(users.offsets[row], users.offsets[row + 1])
        assert users.item_idx[part].tolist() == [r["item_id"] - 52 for r in own]
        assert users.ratings[part].tolist() == [r["rating"] for r in own]
        assert users.timestamps[part].tolist() == [r["timestamp"] for r in own]
    assert users.offsets[-1] == len(users.item_idx) == len(users.ratings) == len(users.timestamps)


def test_by_default_everybody_with_a_rating_has_a_row() -> None:
    ratings = tiny_world.ratings()
    users = histories_of(ratings, catalogue_of(ratings))
    assert users.user_ids.tolist() == sorted(set(ratings["user_id"].to_list()))
    assert users.lengths.sum() == ratings.height


def test_somebody_who_rated_only_unknown_items_keeps_an_empty_row() -> None:
    ratings = ratings_of([(1, 10, 5.0, 0), (2, 99, 5.0, 0)])
    users = histories_of(ratings, Catalogue(item_ids=np.array([10])))
    assert users.lengths.tolist() == [1, 0]


def test_nobody_asked_and_nothing_rated_are_empty_histories() -> None:
    ratings = random_ratings(0, 10)
    nobody = histories_of(ratings, catalogue_of(ratings), np.array([], dtype=np.int64))
    assert (nobody.n_users, len(nobody.item_idx), nobody.offsets.tolist()) == (0, 0, [0])
    nothing = histories_of(ratings.head(0), catalogue_of(ratings), np.array([4, 5]))
    assert (nothing.n_users, nothing.lengths.tolist(), nothing.likes().shape) == (2, [0, 0], (2, nothing.n_items))


def test_selected_users_come_in_the_order_asked_and_as_often(users: Histories) -> None:
    chosen = users.select(np.array([2, 0, 1, 2]))
    assert chosen.user_ids.tolist() == [9, 7, 8, 9]
    assert chosen.item_idx.tolist() == [1, 1, 2, 0, 1]
    assert chosen.offsets.tolist() == [0, 1, 4, 4, 5]
    assert users.select(np.array([], dtype=np.int64)).n_users == 0


def test_a_like_is_four_stars_or_more(users: Histories) -> None:
    assert users.likes().toarray().tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert users.seen().toarray().tolist() == [[1, 1, 1], [0, 0, 0], [0, 1, 0]]
    assert users.likes().nnz == 2, "ratings below are absent, not stored zeros"


def test_a_matrix_keeps_the_type_of_its_values(users: Histories) -> None:
    """Integers are summed up exactly; as floats they would not be."""
    large = np.full(len(users.item_idx), 2**53 + 1)
    assert users.matrix(large).dtype == np.int64
    assert set(users.matrix(large).data.tolist()) == {2**53 + 1}
    assert users.matrix(large.astype(np.float32)).dtype == np.float32


def test_matrices_do_not_share_memory_with_the_histories(users: Histories) -> None:
    values = np.array([1, 0, 2, 3], dtype=np.float32)
    users.matrix(values).data[:] = 9
    assert values.tolist() == [1, 0, 2, 3]
    assert users.item_idx.tolist() == [1, 2, 0, 1]
