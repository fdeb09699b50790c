"""Features of users, from sums."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.features.point_in_time import UserSums
from recsys_core.features.registry import features_of
from recsys_core.features.users import user_mean_liked_year, user_mean_popularity

HAND = UserSums.of_totals(np.array([[3, 2, 19, 4, 2, 1990 + 2001]]), all_ratings=4)
NOTHING = UserSums.of_totals(np.zeros((1, 6), dtype=np.int64), all_ratings=4)


def numbers_of(sums: UserSums) -> dict[str, float]:
    return {one.name.removeprefix("user_"): one(sums).item() for one in features_of("user")}


def test_numbers_by_hand() -> None:
    assert numbers_of(HAND) == pytest.approx(
        {
            "n_ratings": 3,
            "like_share": 2 / 3,
            "mean_rating": 9.5 / 3,
            "mean_popularity": 4 / 3 / 4,
            "mean_liked_year": (1990 + 2001) / 2,
        }
    )


def test_an_empty_history_has_no_ratings_and_the_rest_is_unknown() -> None:
    """Missing is not zero: nobody has a mean rating of no stars."""
    found = numbers_of(NOTHING)
    assert found.pop("n_ratings") == 0
    assert np.isnan(list(found.values())).all()


def test_without_likes_there_is_a_share_of_likes_and_no_year() -> None:
    found = numbers_of(UserSums.of_totals(np.array([[2, 0, 7, 5, 0, 0]]), all_ratings=9))
    assert found["like_share"] == 0
    assert np.isnan(found["mean_liked_year"])


def test_likes_of_unknown_year_do_not_move_the_mean() -> None:
    assert user_mean_liked_year(replace(HAND, n_likes=np.array([50]))).item() == 1995.5


def test_where_no_item_was_ever_rated_popularity_is_zero() -> None:
    sums = UserSums.of_totals(np.array([[2, 0, 7, 0, 0, 0]]), all_ratings=0)
    assert user_mean_popularity(sums).tolist() == [0.0]


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(0, 900), st.none() | st.integers(1870, 2100)), max_size=30))
def test_whatever_is_rated_stays_within_the_declared_bounds(rated: list[tuple[int, int, int | None]]) -> None:
    years = [year for half, _, year in rated if half >= 8 and year is not None]
    halves, popularity = [half for half, _, _ in rated], [n for _, n, _ in rated]
    n_likes = sum(half >= 8 for half in halves)
    totals = [len(rated), n_likes, sum(halves), sum(popularity), len(years), sum(years)]
    sums = UserSums.of_totals(np.array([totals]), all_ratings=900)
    for feature in features_of("user"):
        value = feature(sums).item()
        assert (feature.may_be_missing and np.isnan(value)) or (
            (feature.low or 0.0) <= value <= (np.inf if feature.high is None else feature.high)
        )


def test_each_is_one_float32_per_user() -> None:
    sums = UserSums.of_totals(np.ones((7, 6), dtype=np.int64), all_ratings=4)
    assert {(one(sums).dtype, one(sums).shape) for one in features_of("user")} == {(np.dtype(np.float32), (7,))}
