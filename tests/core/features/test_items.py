"""What was known of each item, and that nothing else was."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.features.contract import names_of
from recsys_core.features.items import DAY, item_features
from tests import tiny_world
from tests.core import embedded
from tests.core.tables_by_hand import T0, movies_of, ratings_of, shuffled

MOVIES = movies_of([(1, ["Comedy"], 1999), (2, [], None)])
AS_OF = tiny_world.FIRST_DAY + 2000 * tiny_world.DAY


def test_numbers_by_hand() -> None:
    ratings = ratings_of([(1, 1, 4.0, 0), (2, 1, 2.5, 5 * DAY), (3, 1, 5.0, 400 * DAY), (1, 2, 3.5, 20 * DAY)])
    found = item_features(ratings, MOVIES, T0 + 401 * DAY).rows(named=True)[0]
    assert (found["item_id"], found["genres"], found["year"]) == (1, ["Comedy"], 1999)
    assert (found["n_ratings"], found["n_likes"]) == (3, 2)
    assert found["item_popularity_share"] == 0.75
    assert found["item_recent_share"] == 1.0
    assert found["item_year_share"] == 1.0, "the other rating lies 381 days back"
    assert found["item_like_share"] == pytest.approx(2 / 3)
    assert found["item_mean_rating"] == pytest.approx(11.5 / 3)
    assert found["item_days_known"] == 401
    assert found["item_age_years"] == datetime.fromtimestamp(T0 + 401 * DAY, UTC).year - 1999


def test_the_columns_are_those_of_the_contract() -> None:
    found = item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF)
    assert found.columns == ["item_id", "genres", "year", "n_ratings", "n_likes", *names_of("item")]
    assert set(found.select(names_of("item")).dtypes) == {pl.Float32}
    assert found["item_id"].is_sorted()
    assert found["item_id"].is_unique().all()


def test_counts_are_signed_integers_that_cannot_wrap_around() -> None:
    found = item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF)
    assert found.schema["n_ratings"] == found.schema["n_likes"] == pl.Int64


@pytest.mark.parametrize("as_of", [AS_OF, tiny_world.FIRST_DAY + 500 * tiny_world.DAY])
def test_it_agrees_with_the_slow_loop(as_of: int) -> None:
    known = [row for row in tiny_world.ratings().iter_rows() if row[3] < as_of]
    windows = {days: Counter(row[1] for row in known if row[3] >= as_of - days * DAY) for days in (30, 365, 10_000)}
    movies = {row["item_id"]: row for row in tiny_world.movies().iter_rows(named=True)}
    found = item_features(tiny_world.ratings(), tiny_world.movies(), as_of)
    assert found["item_id"].to_list() == sorted({row[1] for row in known})
    for row in found.iter_rows(named=True):
        own = [other for other in known if other[1] == row["item_id"]]
        year = movies[row["item_id"]]["year"]
        expected = {
            "n_ratings": len(own),
            "n_likes": sum(other[2] >= 4 for other in own),
            "item_popularity_share": len(own) / len(known),
            "item_recent_share": windows[30][row["item_id"]] / max(windows[30].total(), 1),
            "item_year_share": windows[365][row["item_id"]] / max(windows[365].total(), 1),
            "item_like_share": sum(other[2] >= 4 for other in own) / len(own),
            "item_mean_rating": sum(other[2] for other in own) / len(own),
            "item_days_known": (as_of - min(other[3] for other in own)) / DAY,
            "item_age_years": float("nan") if year is None else datetime.fromtimestamp(as_of, UTC).year - year,
        }
        row["item_age_years"] = float("nan") if row["item_age_years"] is None else row["item_age_years"]
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-6, nan_ok=True)


@given(st.integers(100, 2900), st.integers(0, 1000))
@settings(max_examples=25)
def test_what_comes_later_changes_no_bit(days: int, seed: int) -> None:
    ratings, movies = tiny_world.ratings(), tiny_world.movies()
    as_of = tiny_world.FIRST_DAY + days * tiny_world.DAY
    past = ratings.filter(pl.col("timestamp") < as_of)
    later = tiny_world.ratings(seed).with_columns(
        user_id=pl.col("user_id") + 1, timestamp=as_of + pl.int_range(pl.len())
    )
    assert item_features(pl.concat([later, past]), movies, as_of).equals(item_features(past, movies, as_of))


def test_an_event_of_the_same_second_is_not_known_yet() -> None:
    ratings = ratings_of([(1, 1, 5.0, 9), (2, 1, 1.0, 10), (3, 2, 5.0, 10)])
    assert item_features(ratings, MOVIES, T0 + 10).select("item_id", "n_ratings").rows() == [(1, 1)]
    assert item_features(ratings, MOVIES, T0 + 11).select("item_id", "n_ratings").rows() == [(1, 2), (2, 1)]


@pytest.mark.parametrize(("seconds", "counted"), [(0, 0), (-1, 0), (1, 1)])
def test_a_window_begins_with_its_first_second(seconds: int, counted: int) -> None:
    """as_of - 30 days is inside: 30 days of seconds end just before as_of."""
    ratings = ratings_of([(1, 1, 5.0, 0), (1, 2, 5.0, 40 * DAY)])
    as_of = T0 + 30 * DAY + 40 * DAY + seconds
    found = item_features(ratings, MOVIES, as_of).filter(item_id=2)
    assert found["item_recent_share"].item() == (0.0 if counted else 1.0)


def test_windows_in_which_nothing_happened_are_zero_not_undefined() -> None:
    found = item_features(ratings_of([(1, 1, 5.0, 0)]), MOVIES, T0 + 800 * DAY)
    assert found.select("item_recent_share", "item_year_share").row(0) == (0.0, 0.0)


def test_an_item_without_a_description_keeps_its_numbers() -> None:
    found = item_features(ratings_of([(1, 77, 5.0, 0)]), MOVIES, T0 + 1).row(0, named=True)
    assert (found["genres"], found["year"], found["item_age_years"]) == ([], None, None)
    assert (found["n_ratings"], found["item_mean_rating"]) == (1, 5.0)


def test_before_the_first_rating_no_item_is_known() -> None:
    nothing = item_features(tiny_world.ratings(), tiny_world.movies(), tiny_world.FIRST_DAY)
    assert nothing.is_empty()
    assert nothing.schema == item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF).schema


def test_the_order_of_the_rows_changes_no_bit() -> None:
    ratings, movies = embedded.ratings(), embedded.movies()
    as_of = int(np.median(ratings["timestamp"].to_numpy()))
    expected = item_features(ratings, movies, as_of)
    assert item_features(shuffled(ratings), shuffled(movies), as_of).equals(expected)
    assert item_features(ratings.reverse(), movies.reverse(), as_of).equals(expected)


def test_shares_of_all_items_sum_to_one() -> None:
    found = item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF)
    for name in ("item_popularity_share", "item_recent_share", "item_year_share"):
        assert found[name].cast(pl.Float64).sum() == pytest.approx(1, abs=1e-6)
