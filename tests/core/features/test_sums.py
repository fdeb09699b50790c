"""What is summed up over a user's ratings before a moment."""

from dataclasses import fields

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.features.sums import UserSums, counted, user_sums
from recsys_core.features.tables import item_features
from tests.core import embedded
from tests.core.features.moments import futures, moments
from tests.core.tables_by_hand import T0, movies_of, ratings_of, shuffled

NAN = float("nan")
MOVIES = movies_of([(1, ["Comedy"], 1990), (2, ["Drama"], 2001), (3, ["War"], None)])
PAST = ratings_of([(8, 1, 4.0, 0), (9, 1, 3.0, 1), (9, 2, 2.0, 2), (9, 3, 5.0, 3)])
ITEMS = item_features(PAST, MOVIES, T0 + 100)


def sums_of(rows: list[tuple[int, int, float, int]], at: int = 100) -> dict[str, int]:
    """Of user 5, so many seconds after T0."""
    return row(user_sums(ratings_of(rows), ITEMS, np.array([5]), np.array([T0 + at])))


def row(sums: UserSums, at: int = 0) -> dict[str, int]:
    every = {field.name: getattr(sums, field.name) for field in fields(sums)}
    return {name: int(values[at]) if isinstance(values, np.ndarray) else values for name, values in every.items()}


def same(one: UserSums, other: UserSums) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))


def test_numbers_by_hand() -> None:
    assert sums_of([(5, 1, 4.0, 10), (5, 2, 5.0, 11), (5, 3, 0.5, 12), (6, 1, 5.0, 0)]) == {
        "n_ratings": 3,
        "n_likes": 2,
        "half_stars": 19,
        "popularity": 2 + 1 + 1,
        "n_liked_years": 2,
        "liked_years": 1990 + 2001,
        "all_ratings": 4,
    }


def test_a_rating_adds_what_it_says_by_itself() -> None:
    added = counted(np.array([4, 5, 3.5], np.float32), np.array([7, 8, 9]), np.array([1990, NAN, 2000], np.float32))
    assert added.tolist() == [[1, 1, 8, 7, 1, 1990], [1, 1, 10, 8, 0, 0], [1, 0, 7, 9, 0, 0]]
    assert added.dtype == np.int64


def test_a_liked_item_without_a_year_does_not_count_as_year_zero() -> None:
    found = sums_of([(5, 3, 5.0, 10), (5, 2, 5.0, 11)])
    assert (found["n_likes"], found["n_liked_years"], found["liked_years"]) == (2, 1, 2001)


def test_ratings_of_items_outside_the_catalogue_are_not_counted() -> None:
    """Nothing is known of them, and a request does not find them in the history either."""
    assert sums_of([(5, 77, 5.0, 10), (5, 1, 5.0, 11)]) == sums_of([(5, 1, 5.0, 11)])


def test_a_rating_of_the_same_second_is_not_known_yet() -> None:
    rows = [(5, 1, 5.0, 10), (5, 2, 5.0, 11)]
    assert [sums_of(rows, at)["n_ratings"] for at in (9, 10, 11, 12)] == [0, 0, 1, 2]


def test_it_agrees_with_the_slow_loop_at_any_moments() -> None:
    asked, ratings = moments(150, seed=1), embedded.ratings()
    items = item_features(ratings, embedded.movies(), 1_200_000_000)
    about = {one["item_id"]: (one["n_ratings"], one["year"]) for one in items.iter_rows(named=True)}
    assert len(about) < ratings["item_id"].n_unique(), "some items lie outside the catalogue"
    rows = list(ratings.iter_rows())
    found = user_sums(ratings, items, asked.user_ids, asked.times)
    for at in range(150):
        own = [one for one in rows if one[0] == asked.user_ids[at] and one[3] < asked.times[at] and one[1] in about]
        years = [about[one[1]][1] for one in own if one[2] >= 4 and about[one[1]][1] is not None]
        assert row(found, at) == {
            "n_ratings": len(own),
            "n_likes": sum(one[2] >= 4 for one in own),
            "half_stars": round(sum(2 * one[2] for one in own)),
            "popularity": sum(about[one[1]][0] for one in own),
            "n_liked_years": len(years),
            "liked_years": sum(years),
            "all_ratings": sum(n for n, _ in about.values()),
        }


@pytest.mark.parametrize("end", [900_000_000, 1_100_000_000, 1_400_000_000])
def test_what_comes_later_changes_no_sum_of_any_moment(end: int) -> None:
    asked = moments(4_000, seed=2)
    before = asked.times <= end
    past = embedded.ratings().filter(pl.col("timestamp") < end)
    items = item_features(past, embedded.movies(), end)
    expected = user_sums(past, items, asked.user_ids[before], asked.times[before])
    assert expected.n_ratings.max() > 100
    for future in futures(end):
        again = user_sums(pl.concat([future, past]), items, asked.user_ids[before], asked.times[before])
        assert same(again, expected)


def test_the_order_of_the_rows_changes_nothing() -> None:
    asked, ratings = moments(500, seed=4), embedded.ratings()
    items = item_features(ratings, embedded.movies(), 1_200_000_000)
    expected = user_sums(ratings, items, asked.user_ids, asked.times)
    assert same(user_sums(shuffled(ratings), shuffled(items), asked.user_ids, asked.times), expected)


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(0, 2**40), st.none() | st.integers(1880, 2030)), min_size=1))
def test_a_rating_taken_back_leaves_no_trace(rated: list[tuple[int, int, int | None]]) -> None:
    stars = np.array([half / 2 for half, _, _ in rated], dtype=np.float32)
    years = np.array([NAN if year is None else year for _, _, year in rated], dtype=np.float32)
    added = counted(stars, np.array([popularity for _, popularity, _ in rated]), years)
    assert np.array_equal(added.sum(axis=0) - added[-1], added[:-1].sum(axis=0))


def test_nobody_known_sums_to_zero() -> None:
    assert row(user_sums(PAST.clear(), ITEMS, np.array([5]), np.array([T0])))["n_ratings"] == 0
    nobody = np.zeros(0, dtype=np.int64)
    assert user_sums(PAST, ITEMS, nobody, nobody).n_likes.shape == (0,)
