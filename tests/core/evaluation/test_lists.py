"""Ranked lists as tables, and back."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.histories import Catalogue
from recsys_core.errors import DataError
from recsys_core.evaluation.lists import RANKED_LISTS, lists_array, lists_table
from tests.core.tables_by_hand import shuffled

CATALOGUE = Catalogue(item_ids=np.arange(100, 110))
USERS = np.array([3, 5, 9])


def test_a_list_by_hand() -> None:
    table = lists_table("ours", np.array([3, 5]), np.array([[4, 0, -1], [9, -1, -1]]), CATALOGUE)
    assert table.rows() == [("ours", 3, 104, 1), ("ours", 3, 100, 2), ("ours", 5, 109, 1)]


def test_a_gap_keeps_the_places_behind_it() -> None:
    table = lists_table("ours", np.array([3]), np.array([[4, -1, 2]]), CATALOGUE)
    assert table.select("item_id", "rank").rows() == [(104, 1), (102, 3)]
    assert lists_array(table, np.array([3])).tolist() == [[104, -1, 102]]


@given(
    st.lists(st.permutations(range(10)), min_size=3, max_size=3), st.lists(st.integers(0, 6), min_size=3, max_size=3)
)
def test_tables_lead_back_to_lists_in_any_order_of_the_rows(orders: list[list[int]], lengths: list[int]) -> None:
    ranked = np.array([order[:6] for order in orders])
    ranked[np.arange(6) >= np.array(lengths)[:, None]] = -1
    table = shuffled(lists_table("ours", USERS, ranked, CATALOGUE))
    found = CATALOGUE.idx_of(lists_array(table, USERS))
    assert np.array_equal(found, ranked[:, : max(lengths)])


def test_a_user_without_a_list_gets_an_empty_one() -> None:
    table = lists_table("ours", np.array([5]), np.array([[1, 2]]), CATALOGUE)
    assert lists_array(table, USERS).tolist() == [[-1, -1], [101, 102], [-1, -1]]


@pytest.mark.parametrize("user_ids", [[], [3, 5]])
def test_empty_lists_are_a_table_without_rows(user_ids: list[int]) -> None:
    users = np.array(user_ids, dtype=np.int64)
    table = lists_table("ours", users, np.full((len(users), 4), -1), CATALOGUE)
    assert table.is_empty()
    assert RANKED_LISTS.validate(table).schema["model"] == pl.String
    assert lists_array(table, users).shape == (len(users), 0)


def test_an_item_listed_twice_is_refused() -> None:
    with pytest.raises(DataError, match="stands twice"):
        lists_table("ours", np.array([3]), np.array([[4, 4]]), CATALOGUE)
