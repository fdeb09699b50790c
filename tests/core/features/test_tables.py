"""The feature tables, of any moment and of every slice; nothing in them was not yet known."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.data.config import SplitsConfig
from recsys_core.data.schemas import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP
from recsys_core.data.splits import TEST, Splits, fit_ratings, fitted_before, known_ratings, make_splits
from recsys_core.features.registry import names_of
from recsys_core.features.schemas import item_schema
from recsys_core.features.tables import (
    item_features,
    item_features_by_slice,
    of_slice,
    user_features,
    user_features_by_slice,
)
from recsys_core.schema_errors import violations
from tests import tiny_world
from tests.core import embedded
from tests.core.features.moments import futures, moments
from tests.core.tables_by_hand import T0, every_rating_of, movies_of, ratings_of, shuffled

AS_OF = tiny_world.FIRST_DAY + 2000 * tiny_world.DAY
DAY = tiny_world.DAY
MOVIES = movies_of([(1, ["Comedy"], 1999), (2, [], None)])


def users_of(ratings: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Of everybody, right after their latest rating."""
    last = ratings.group_by("user_id").agg(pl.col("timestamp").max() + 1).sort("user_id")
    return user_features(ratings, items, last["user_id"].to_numpy(), last["timestamp"].to_numpy())


def test_numbers_by_hand() -> None:
    ratings = ratings_of([(1, 1, 4.0, 0), (2, 1, 2.5, 5 * DAY), (3, 1, 5.0, 400 * DAY), (1, 2, 3.5, 20 * DAY)])
    one, two = item_features(ratings, MOVIES, T0 + 401 * DAY).rows(named=True)
    assert (one["item_id"], one["genres"], one["year"]) == (1, ["Comedy"], 1999)
    assert (one["n_ratings"], one["n_likes"]) == (3, 2)
    assert one["item_like_share"] == pytest.approx(2 / 3)
    assert (one["item_popularity_share"], one["item_recent_share"]) == (0.75, 1.0)
    assert one["item_days_known"] == 401
    assert (two["year"], two["item_age_years"]) == (None, None), "null, and not NaN: a table says missing in one way"


def test_the_columns_are_keys_and_features_in_the_order_of_the_registry() -> None:
    items = item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF)
    assert items.columns == ["item_id", "genres", "year", "n_ratings", "n_likes", *names_of("item")]
    users = users_of(tiny_world.ratings(), items)
    assert users.columns == ["user_id", *names_of("user")]
    for table, entity in ((items, "item"), (users, "user")):
        assert set(table.select(names_of(entity)).dtypes) == {pl.Float32}
    assert items["item_id"].is_sorted()
    assert items["item_id"].is_unique().all()


def test_counts_are_signed_integers_that_cannot_wrap_around() -> None:
    found = item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF)
    assert found.schema["n_ratings"] == found.schema["n_likes"] == pl.Int64


@pytest.mark.parametrize("as_of", [AS_OF, tiny_world.FIRST_DAY + 500 * DAY])
def test_items_are_those_rated_before_and_agree_with_the_slow_loop(as_of: int) -> None:
    known = [row for row in tiny_world.ratings().iter_rows() if row[3] < as_of]
    found = item_features(tiny_world.ratings(), tiny_world.movies(), as_of)
    assert found["item_id"].to_list() == sorted({row[1] for row in known})
    for row in found.iter_rows(named=True):
        own = [other for other in known if other[1] == row["item_id"]]
        expected = {
            "n_ratings": len(own),
            "n_likes": sum(other[2] >= 4 for other in own),
            "item_popularity_share": len(own) / len(known),
            "item_like_share": sum(other[2] >= 4 for other in own) / len(own),
            "item_mean_rating": sum(other[2] for other in own) / len(own),
            "item_days_known": (as_of - min(other[3] for other in own)) / DAY,
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_users_agree_with_the_slow_loop() -> None:
    ratings = tiny_world.ratings()
    splits, name = make_splits(ratings, SplitsConfig(n_refits=1)), f"{TEST}_1"
    known, asked = known_ratings(ratings, splits, name), splits.requests(name)
    items = item_features(ratings, tiny_world.movies(), splits.fit_end(name))
    about = {row["item_id"]: (row["n_ratings"], row["year"]) for row in items.iter_rows(named=True)}
    total = sum(n for n, _ in about.values())
    found = user_features(ratings, items, asked["user_id"].to_numpy(), asked["requested_at"].to_numpy())
    assert found["user_id"].to_list() == asked["user_id"].to_list()
    for row in found.iter_rows(named=True):
        own = [one for one in known.filter(user_id=row["user_id"]).rows(named=True) if one["item_id"] in about]
        years = [about[one["item_id"]][1] for one in own if one["rating"] >= 4]
        years = [year for year in years if year is not None]
        expected = {
            "user_n_ratings": len(own),
            "user_like_share": sum(one["rating"] >= 4 for one in own) / len(own) if own else None,
            "user_mean_rating": sum(one["rating"] for one in own) / len(own) if own else None,
            "user_mean_popularity": sum(about[one["item_id"]][0] for one in own) / total / len(own) if own else None,
            "user_mean_liked_year": sum(years) / len(years) if years else None,
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@given(st.integers(100, 2900), st.integers(0, 1000))
@settings(max_examples=25)
def test_what_comes_later_changes_no_bit(days: int, seed: int) -> None:
    ratings, movies = tiny_world.ratings(), tiny_world.movies()
    as_of = tiny_world.FIRST_DAY + days * DAY
    past = ratings.filter(pl.col("timestamp") < as_of)
    later = tiny_world.ratings(seed).with_columns(
        user_id=pl.col("user_id") + 1, timestamp=as_of + pl.int_range(pl.len())
    )
    items = item_features(past, movies, as_of)
    assert item_features(pl.concat([later, past]), movies, as_of).equals(items)
    users, times = past["user_id"].to_numpy(), past["timestamp"].to_numpy()
    expected = user_features(past, items, users, times)
    assert user_features(pl.concat([later, past]), items, users, times).equals(expected)


@pytest.mark.parametrize("end", [900_000_000, 1_100_000_000, 1_400_000_000])
def test_rows_appended_to_the_future_of_people_change_no_bit_of_any_moment(end: int) -> None:
    asked, movies = moments(3_000, seed=5), embedded.movies()
    before = asked.times <= end
    user_ids, times = asked.user_ids[before], asked.times[before]
    past = embedded.ratings().filter(pl.col("timestamp") < end)
    items = item_features(past, movies, end)
    users = user_features(past, items, user_ids, times)
    for future in futures(end):
        altered = pl.concat([future, past])
        assert item_features(altered, movies, end).equals(items)
        assert user_features(altered, items, user_ids, times).equals(users)


def test_an_event_of_the_same_second_is_not_known_yet() -> None:
    ratings = ratings_of([(1, 1, 5.0, 9), (2, 1, 1.0, 10), (3, 2, 5.0, 10)])
    assert item_features(ratings, MOVIES, T0 + 10).select("item_id", "n_ratings").rows() == [(1, 1)]
    assert item_features(ratings, MOVIES, T0 + 11).select("item_id", "n_ratings").rows() == [(1, 2), (2, 1)]


def test_a_user_may_be_asked_of_at_many_moments_in_any_order() -> None:
    ratings = ratings_of([(5, 1, 5.0, 1), (5, 2, 3.0, 4)])
    items = item_features(ratings, MOVIES, T0 + 9)
    found = user_features(ratings, items, np.array([5, 7, 5, 5]), T0 + np.array([9, 9, 1, 2]))
    assert found["user_id"].to_list() == [5, 7, 5, 5]
    assert found["user_n_ratings"].to_list() == [2, 0, 0, 1]
    assert found["user_mean_rating"].to_list() == [4.0, None, None, 5.0]


def test_an_item_without_a_description_keeps_its_numbers() -> None:
    found = item_features(ratings_of([(1, 77, 5.0, 0)]), MOVIES, T0 + 1).row(0, named=True)
    assert (found["genres"], found["year"], found["item_age_years"]) == ([], None, None)
    assert (found["n_ratings"], found["item_mean_rating"]) == (1, 5.0)


def test_before_the_first_rating_only_new_releases_are_known() -> None:
    movies = tiny_world.movies().with_columns(year=pl.lit(None, pl.Int32))
    nothing = item_features(tiny_world.ratings(), movies, tiny_world.FIRST_DAY)
    assert nothing.is_empty()
    assert nothing.schema == item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF).schema


@pytest.mark.parametrize(("year", "n_rows"), [(2012, 0), (2013, 1), (2014, 1), (2015, 0), (None, 0)])
def test_a_movie_without_ratings_is_new_in_the_year_of_its_release_and_in_the_next(
    year: int | None, n_rows: int
) -> None:
    unrated = pl.DataFrame({"item_id": [9_999], "title": ["New"], "genres": [["Drama"]], "year": [year]})
    movies = pl.concat([tiny_world.movies(), unrated.cast({"year": pl.Int32})], how="diagonal_relaxed")
    as_of = int(datetime(2014, 6, 1, tzinfo=UTC).timestamp())
    new = item_features(tiny_world.ratings(), movies, as_of).filter(item_id=9_999)
    numbers = new.select("n_ratings", "item_popularity_share", "item_like_share", "item_mean_rating")
    assert numbers.rows() == [(0, 0.0, None, None)] * n_rows


def test_nobody_asked_is_an_empty_table() -> None:
    nobody = np.zeros(0, dtype=np.int64)
    items = item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF)
    nothing = user_features(tiny_world.ratings(), items, nobody, nobody)
    assert nothing.is_empty()
    assert nothing.schema == users_of(tiny_world.ratings(), items).schema


def test_where_no_item_is_known_nobody_has_rated_any() -> None:
    items = item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF).clear()
    found = users_of(tiny_world.ratings(), items)
    assert found["user_n_ratings"].unique().to_list() == [0.0]
    assert found["user_mean_popularity"].is_null().all()


def test_the_order_of_the_rows_changes_no_bit() -> None:
    ratings, movies = embedded.ratings(), embedded.movies()
    as_of = int(np.median(ratings["timestamp"].to_numpy()))
    items = item_features(ratings, movies, as_of)
    assert item_features(shuffled(ratings), shuffled(movies), as_of).equals(items)
    assert item_features(ratings.reverse(), movies.reverse(), as_of).equals(items)
    users = users_of(ratings, items)
    assert users_of(shuffled(ratings), shuffled(items)).equals(users)
    assert users_of(ratings.reverse(), items).equals(users)


def test_nobody_elses_ratings_change_a_users_numbers() -> None:
    ratings = tiny_world.ratings()
    items = item_features(ratings, tiny_world.movies(), AS_OF)
    together = users_of(ratings, items)
    for user_id in together["user_id"].head(20):
        assert users_of(ratings.filter(user_id=user_id), items).equals(together.filter(user_id=user_id))


def test_shares_of_all_items_sum_to_one() -> None:
    found = item_features(tiny_world.ratings(), tiny_world.movies(), AS_OF)
    for name in ("item_popularity_share", "item_recent_share", "item_year_share"):
        assert found[name].cast(pl.Float64).sum() == pytest.approx(1, abs=1e-6)


def test_a_year_that_lies_after_a_rating_counts_as_unknown_and_the_table_keeps_its_schema() -> None:
    """Logged ratings come after the movies were read, so that they can contradict a year that nothing did before."""
    ratings = ratings_of([(1, 1, 4.0, 0), (1, 2, 4.0, 0), (1, 3, 4.0, 0)])  # of 2001
    movies = movies_of([(1, [], 2021), (2, [], 2002), (3, [], 2003)])
    items = item_features(ratings, movies, T0 + DAY)
    assert items["year"].to_list() == [None, 2002, None]
    assert items["item_age_years"].to_list() == [None, -1, None]
    assert violations(items.select(pl.lit("now").alias("slice"), pl.all()), item_schema()) == []


def test_a_rating_of_the_last_second_that_is_believed_breaks_no_bound() -> None:
    spread = ratings_of([(1, 1, 4.0, EARLIEST_TIMESTAMP - T0), (1, 2, 4.0, LATEST_TIMESTAMP - T0)])
    items = item_features(spread, movies_of([(1, [], 1870), (2, [], 2100)]), LATEST_TIMESTAMP + 1)
    assert violations(items.select(pl.lit("now").alias("slice"), pl.all()), item_schema()) == []


@pytest.fixture(scope="module")
def items(ratings: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    return item_features_by_slice(ratings, tiny_world.movies(), splits)


def test_each_slice_sees_its_own_past(ratings: pl.DataFrame, splits: Splits, items: pl.DataFrame) -> None:
    users = user_features_by_slice(ratings, items, splits)
    assert items["slice"].unique(maintain_order=True).to_list() == splits.names
    for name in splits.names:
        alone = item_features(fit_ratings(ratings, splits, name), tiny_world.movies(), splits.fit_end(name))
        assert of_slice(items, name).equals(alone)
        known, asked = known_ratings(ratings, splits, name), splits.requests(name)
        user_ids, times = asked["user_id"].to_numpy(), asked["requested_at"].to_numpy()
        assert of_slice(users, name).equals(user_features(known, alone, user_ids, times))


def test_everybody_who_is_evaluated_has_a_row(ratings: pl.DataFrame, splits: Splits, items: pl.DataFrame) -> None:
    users = user_features_by_slice(ratings, items, splits)
    assert sorted(users.select("slice", "user_id").rows()) == sorted(splits.users.select("slice", "user_id").rows())


def test_targets_are_not_counted(ratings: pl.DataFrame, splits: Splits, items: pl.DataFrame) -> None:
    """Without a slice's targets in the table at all, every number of the slice is the same."""
    users = user_features_by_slice(ratings, items, splits)
    for name in splits.asking:
        targets = splits.targets.filter(slice=name)
        without = ratings.join(targets, on=["user_id", "item_id"], how="anti", maintain_order="left")
        assert without.height < ratings.height
        again = item_features_by_slice(without, tiny_world.movies(), splits)
        assert of_slice(again, name).equals(of_slice(items, name))
        assert of_slice(user_features_by_slice(without, items, splits), name).equals(of_slice(users, name))


def test_a_slice_that_does_not_exist_is_empty(items: pl.DataFrame) -> None:
    assert of_slice(items, "holdout_99").is_empty()


def test_neither_a_target_nor_what_shares_its_second_is_counted() -> None:
    """User 2 is asked at second 7, in which the target and a dislike stand; user 9 rates in the cut-off's second."""
    past = [(1, 1, 5.0, 0), (2, 1, 3.0, 1), (2, 2, 5.0, 2)]
    ties = [(9, 2, 4.0, 6), (2, 3, 5.0, 7), (2, 4, 1.0, 7)]
    ratings = ratings_of([*past, *ties, (2, 5, 5.0, 8)])
    target = ratings.filter(user_id=2, item_id=3)
    by_hand = Splits(
        cutoffs=pl.DataFrame(
            {"slice": ["one"], "window": ["one"], "fit_end": [T0 + 6], "until": [T0 + 9], "is_exam": [True]}
        ),
        users=pl.DataFrame({"slice": ["one"], "user_id": [2], "cut": [T0 + 7]}),
        targets=target.select(pl.lit("one").alias("slice"), pl.all()),
    )
    items = item_features_by_slice(ratings, movies_of([(1, [], 1999)]), by_hand)
    users = user_features_by_slice(ratings, items, by_hand)
    assert items.select("item_id", "n_ratings", "item_mean_rating").rows() == [(1, 2, 4.0), (2, 1, 5.0)]
    assert users.select("user_id", "user_n_ratings", "user_mean_rating").rows() == [(2, 2.0, 4.0)]


def test_an_item_that_is_rated_again_is_counted_as_it_was_rated_at_the_time() -> None:
    """User 1 likes item 1 in second 0 and takes it back in second 5; whoever asks in between knows of the like."""
    ratings = every_rating_of([(1, 1, 5.0, 0), (2, 1, 5.0, 1), (1, 1, 1.0, 5)])

    def at(fit_end: int) -> Splits:
        return fitted_before(T0 + fit_end, "then")

    def likes(fit_end: int) -> list[tuple[int, int]]:
        made = item_features_by_slice(ratings, movies_of([]), at(fit_end))
        return made.select("n_ratings", "n_likes").rows()

    assert [likes(fit_end) for fit_end in (1, 5, 6)] == [[(1, 1)], [(2, 2)], [(2, 1)]]
