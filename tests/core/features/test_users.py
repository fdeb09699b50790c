"""What was known of each user when asking."""

import polars as pl
import pytest

from recsys_core.data.config import SplitsConfig
from recsys_core.data.slicing import make_splits
from recsys_core.data.splits import TEST, known_ratings
from recsys_core.features.contract import names_of
from recsys_core.features.tables import item_features
from recsys_core.features.users import user_features
from tests import tiny_world
from tests.core import embedded
from tests.core.tables_by_hand import T0, movies_of, ratings_of, shuffled

MOVIES = movies_of([(1, ["Comedy"], 1990), (2, ["Drama"], 2001), (3, ["War"], None)])
PAST = ratings_of([(8, 1, 4.0, 0), (9, 1, 3.0, 1), (9, 2, 2.0, 2), (9, 3, 5.0, 3)])
ITEMS = item_features(PAST, MOVIES, T0 + 100)


def features_of(rows: list[tuple[int, int, float, int]]) -> dict[str, float | None]:
    return user_features(ratings_of(rows), ITEMS).row(0, named=True)


def test_numbers_by_hand() -> None:
    found = features_of([(5, 1, 4.0, 10), (5, 2, 5.0, 11), (5, 3, 0.5, 12)])
    assert found["user_n_ratings"] == 3
    assert found["user_like_share"] == pytest.approx(2 / 3)
    assert found["user_mean_rating"] == pytest.approx(9.5 / 3)
    assert found["user_mean_popularity"] == pytest.approx((2 + 1 + 1) / 3 / 4), "of four known ratings"
    assert found["user_mean_liked_year"] == pytest.approx((1990 + 2001) / 2)


def test_without_likes_there_is_no_mean_liked_year() -> None:
    found = features_of([(5, 1, 3.5, 10)])
    assert found["user_mean_liked_year"] is None
    assert found["user_like_share"] == 0


def test_a_liked_item_without_a_year_does_not_count_as_year_zero() -> None:
    assert features_of([(5, 3, 5.0, 10)])["user_mean_liked_year"] is None
    assert features_of([(5, 3, 5.0, 10), (5, 2, 5.0, 11)])["user_mean_liked_year"] == 2001


def test_an_unknown_item_counts_with_popularity_zero() -> None:
    found = features_of([(5, 77, 5.0, 10), (5, 1, 5.0, 11)])
    assert found["user_mean_popularity"] == 2 / 4 / 2
    assert found["user_n_ratings"] == 2
    assert found["user_mean_liked_year"] == 1990


def test_nobody_known_is_an_empty_table() -> None:
    nothing = user_features(PAST.head(0), ITEMS)
    assert nothing.is_empty()
    assert nothing.columns == ["user_id", *names_of("user")]


def test_without_any_known_item_popularity_is_zero() -> None:
    found = user_features(PAST, ITEMS.head(0))
    assert found["user_mean_popularity"].to_list() == [0.0, 0.0]


def test_it_agrees_with_the_slow_loop() -> None:
    ratings = tiny_world.ratings()
    splits = make_splits(ratings, SplitsConfig())
    known = known_ratings(ratings, splits, TEST)
    items = item_features(ratings, tiny_world.movies(), splits.fit_end(TEST))
    about = {row["item_id"]: (row["n_ratings"], row["year"]) for row in items.iter_rows(named=True)}
    total = sum(n for n, _ in about.values())
    found = user_features(known, items)
    assert found["user_id"].to_list() == sorted(set(known["user_id"].to_list()))
    for row in found.iter_rows(named=True):
        own = known.filter(user_id=row["user_id"]).rows(named=True)
        years = [about[r["item_id"]][1] for r in own if r["rating"] >= 4 and r["item_id"] in about]
        years = [year for year in years if year is not None]
        expected = {
            "user_n_ratings": len(own),
            "user_like_share": sum(r["rating"] >= 4 for r in own) / len(own),
            "user_mean_rating": sum(r["rating"] for r in own) / len(own),
            "user_mean_popularity": sum(about.get(r["item_id"], (0, 0))[0] for r in own) / total / len(own),
            "user_mean_liked_year": sum(years) / len(years) if years else None,
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_the_order_of_the_rows_changes_no_bit() -> None:
    ratings = embedded.ratings()
    items = item_features(ratings, embedded.movies(), int(ratings["timestamp"].max()))  # type: ignore[arg-type]
    expected = user_features(ratings, items)
    assert user_features(shuffled(ratings), shuffled(items)).equals(expected)
    assert user_features(ratings.reverse(), items).equals(expected)


def test_nobody_elses_ratings_change_a_users_numbers() -> None:
    ratings = tiny_world.ratings()
    items = item_features(ratings, tiny_world.movies(), tiny_world.FIRST_DAY + 2000 * tiny_world.DAY)
    together = user_features(ratings, items)
    for user_id in together["user_id"].head(20):
        alone = user_features(ratings.filter(user_id=user_id), items)
        assert alone.equals(together.filter(pl.col("user_id") == user_id))
