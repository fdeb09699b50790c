"""Features of items, from counts."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.days import DAY_S
from recsys_core.features.items import item_age_years, item_like_share, item_mean_rating
from recsys_core.features.point_in_time import ItemCounts
from recsys_core.features.registry import features_of
from tests.core.tables_by_hand import T0

NAN = float("nan")
HAND = ItemCounts(
    times=np.array([T0 + 401 * DAY_S]),
    years=np.array([1999], dtype=np.float32),
    first_at=np.array([T0]),
    n_ratings=np.array([3]),
    n_likes=np.array([2]),
    n_recent=np.array([1]),
    n_year=np.array([1]),
    half_stars=np.array([23]),
    n_newest_likes=np.array([[1, 1, 2]]),
    n_newest=np.array([[1, 2, 3]]),
    all_ratings=np.array([4]),
    all_recent=np.array([1]),
    all_year=np.array([2]),
)
NOBODY_RATED_IT = replace(
    HAND,
    **dict.fromkeys(["first_at", "n_ratings", "n_likes", "n_recent", "n_year", "half_stars"], np.array([0])),
    n_newest_likes=np.array([[0, 0, 0]]),
)
POPULARITY = (
    "popularity_share",
    "recent_share",
    "year_share",
    "newest_like_share",
    "newer_like_share",
    "new_like_share",
)


def values_of(counts: ItemCounts) -> dict[str, npt.NDArray[np.float32]]:
    return {one.name.removeprefix("item_"): one(counts) for one in features_of("item")}


def numbers_of(counts: ItemCounts) -> dict[str, float]:
    return {name: values.item() for name, values in values_of(counts).items()}


def test_numbers_by_hand() -> None:
    assert numbers_of(HAND) == pytest.approx(
        {
            "popularity_share": 0.75,
            "recent_share": 1.0,
            "year_share": 0.5,
            "newest_like_share": 1.0,
            "newer_like_share": 0.5,
            "new_like_share": 2 / 3,
            "like_share": 2 / 3,
            "mean_rating": 11.5 / 3,
            "days_known": 401,
            "age_years": datetime.fromtimestamp(T0 + 401 * DAY_S, UTC).year - 1999,
        }
    )


def test_what_nobody_rated_is_popular_with_nobody_and_its_merit_is_unknown() -> None:
    """Missing is not zero: a mean of nothing would be a mean below the worst."""
    found = numbers_of(NOBODY_RATED_IT)
    assert {found[name] for name in POPULARITY} == {0}
    assert np.isnan([found[name] for name in ("like_share", "mean_rating", "days_known")]).all()


def test_windows_in_which_nothing_happened_are_zero_not_undefined() -> None:
    quiet = replace(HAND, **dict.fromkeys(["n_recent", "all_recent", "n_year", "all_year"], np.array([0])))
    found = numbers_of(quiet)
    assert (found["recent_share"], found["year_share"]) == (0, 0)


def test_before_anything_was_rated_nothing_is_new() -> None:
    nothing = np.array([[0, 0, 0]])
    found = numbers_of(replace(NOBODY_RATED_IT, n_newest=nothing, all_ratings=np.array([0])))
    assert {found[name] for name in POPULARITY if name.endswith("like_share")} == {0}


def test_items_that_everybody_dislikes_are_known_to_be_disliked() -> None:
    disliked = replace(HAND, n_likes=np.array([0]), half_stars=np.array([3]))
    assert item_like_share(disliked).tolist() == [0.0]
    assert item_mean_rating(disliked).tolist() == [0.5]


def test_without_a_year_there_is_no_age() -> None:
    assert np.isnan(item_age_years(replace(HAND, years=np.array([NAN], dtype=np.float32)))).all()


@pytest.mark.parametrize(("second", "age"), [(-1, 0), (0, 1)])
def test_the_year_turns_in_utc(second: int, age: int) -> None:
    new_year = int(datetime(2001, 1, 1, tzinfo=UTC).timestamp())
    asked = replace(HAND, times=np.array([new_year + second]), years=np.array([2000], dtype=np.float32))
    assert item_age_years(asked).tolist() == [age]


@given(st.integers(1, 2**40), st.data())
def test_whatever_is_counted_stays_within_the_declared_bounds(all_ratings: int, data: st.DataObject) -> None:
    def part_of(whole: int, least: int = 0) -> int:
        return data.draw(st.integers(least, whole))

    n = part_of(all_ratings)
    n_year, all_year = part_of(n), part_of(all_ratings)
    counted = {
        "n_ratings": n,
        "n_likes": part_of(n),
        "n_year": min(n_year, all_year),
        "n_recent": min(part_of(n_year), all_year),
        "half_stars": part_of(10 * n, n),
        "all_ratings": all_ratings,
        "all_year": all_year,
        "all_recent": all_year,
    }
    n_newest = [part_of(all_ratings) for _ in range(3)]
    counts = replace(
        HAND,
        **{name: np.array([value]) for name, value in counted.items()},
        n_newest=np.array([n_newest]),
        n_newest_likes=np.array([[part_of(whole) for whole in n_newest]]),
    )
    for feature in features_of("item"):
        value = feature(counts).item()
        may_lack = feature.may_be_missing or n == 0
        assert (may_lack and np.isnan(value)) or (feature.low or -np.inf) <= value <= (feature.high or np.inf)


def test_each_is_one_float32_per_question() -> None:
    assert {(array.dtype, array.shape) for array in values_of(HAND).values()} == {(np.dtype(np.float32), (1,))}
