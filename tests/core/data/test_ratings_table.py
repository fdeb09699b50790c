"""Base and logged ratings in one table, what is held back of it, its digest and its figures."""

from pathlib import Path

import pandera.errors
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.data.config import RatingsReadingConfig
from recsys_core.data.ratings_table import (
    about_ratings,
    every_rating,
    merge_ratings,
    ratings_by_rank,
    ratings_by_stars,
    ratings_digest,
    read_holdback,
    split_holdback,
)
from recsys_core.data.schemas import MERGED_RATINGS_COLUMNS, RATINGS_COLUMNS
from recsys_core.errors import DataError
from recsys_core.feedback.schemas import IMPLICIT_COLUMNS
from tests import tiny_world
from tests.core.tables_by_hand import T0, random_ratings, ratings_of, shuffled

Rows = list[tuple[int, int, float, int]]

RATING = st.tuples(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 10).map(lambda half: half / 2), st.integers(0, 4)
)


RAW = Path("data_lake/raw")
EMBEDDED = "ml-latest-small-2016"

RATINGS = pl.DataFrame(
    [(1, 10, 5.0, 1), (1, 11, 4.0, 2), (2, 10, 2.5, 3), (3, 10, 5.0, 4)], schema=RATINGS_COLUMNS, orient="row"
)
NOTHING = pl.DataFrame(schema=RATINGS_COLUMNS)

TWO = ((11, 5_000, 1_300_000_000, 0.5), (14, 5_007, 1_300_000_009, 1.0))


def clicks_of(*rows: tuple[int, int, int, float]) -> pl.DataFrame:
    """(user_id, item_id, timestamp, weight)."""
    full = [(user, item, at, None, f"e{n}", None, weight) for n, (user, item, at, weight) in enumerate(rows)]
    return pl.DataFrame(full, schema=IMPLICIT_COLUMNS, orient="row")


def logged_of(rows: Rows) -> pl.DataFrame:
    """As they are logged: one pair may come several times."""
    numbered = [(u, i, r, T0 + at, f"event {n}") for n, (u, i, r, at) in enumerate(rows)]
    return pl.DataFrame(numbered, schema=MERGED_RATINGS_COLUMNS, orient="row")


def as_logged(ratings: pl.DataFrame) -> pl.DataFrame:
    """The same ratings, as if they had come by the log."""
    return ratings.select(*RATINGS_COLUMNS).with_row_index("n").with_columns(
        event_id=pl.format("event {}", "n")
    ).drop("n")  # fmt: skip


@pytest.mark.parametrize(
    ("base", "logged", "expected"),
    [
        pytest.param([(1, 1, 2.0, 5)], [(1, 1, 4.0, 6)], 4.0, id="a later rating replaces the earlier"),
        pytest.param([(1, 1, 2.0, 5)], [(1, 1, 4.0, 4)], 2.0, id="a late arrival of an earlier rating does not"),
        pytest.param([(1, 1, 4.0, 5)], [(1, 1, 2.0, 5)], 2.0, id="at equal times the log is right"),
        pytest.param([], [(1, 1, 2.0, 5), (1, 1, 3.0, 5)], 3.0, id="two logged in one second: the higher"),
        pytest.param([], [(1, 1, 5.0, 5), (1, 1, 1.0, 6)], 1.0, id="two logged ratings: the later"),
    ],
)
def test_the_latest_rating_counts(base: Rows, logged: Rows, expected: float) -> None:
    for rows in (logged, logged[::-1]):
        merged = merge_ratings(ratings_of(base), logged_of(rows))
        assert merged["rating"].to_list() == [expected]


@given(st.lists(RATING), st.lists(RATING), st.integers(0, 99))
@settings(max_examples=60)
def test_it_agrees_with_the_slow_loop(base: Rows, logged: Rows, seed: int) -> None:
    base = list({(u, i): (u, i, r, at) for u, i, r, at in base}.values())
    best: dict[tuple[int, int], tuple[int, int, float]] = {}
    for arrival, rows in enumerate((base, logged)):
        for user, item, stars, at in rows:
            best[user, item] = max(best.get((user, item), (-1, 0, 0.0)), (at, arrival, stars))
    expected = sorted((T0 + at, *pair, stars) for pair, (at, _, stars) in best.items())
    merged = merge_ratings(shuffled(ratings_of(base), seed), shuffled(logged_of(logged), seed))
    assert merged.select("timestamp", "user_id", "item_id", "rating").rows() == expected


def test_an_empty_log_changes_nothing() -> None:
    base = tiny_world.ratings()
    nothing = as_logged(base.head(0))
    assert merge_ratings(base, nothing).drop("event_id").equals(base)
    assert merge_ratings(base, nothing)["event_id"].is_null().all()
    assert merge_ratings(base.head(0), as_logged(base)).drop("event_id").equals(base)


def test_the_same_log_twice_counts_once() -> None:
    base, logged = random_ratings(0, 30), as_logged(random_ratings(1, 30))
    once = merge_ratings(base, logged)
    assert merge_ratings(once.select(*RATINGS_COLUMNS), logged).drop("event_id").equals(once.drop("event_id"))
    assert merge_ratings(base, pl.concat([logged, logged])).equals(once)


def test_each_rating_says_which_event_it_comes_from() -> None:
    base = ratings_of([(1, 1, 2.0, 5), (1, 2, 3.0, 5)])
    merged = merge_ratings(base, logged_of([(1, 1, 4.0, 6), (1, 2, 5.0, 4), (1, 3, 1.0, 9)]))
    assert merged.select("item_id", "rating", "event_id").rows() == [
        (2, 3.0, None), (1, 4.0, "event 0"), (3, 1.0, "event 2")
    ]  # fmt: skip


def test_a_logged_rating_off_the_grid_is_refused() -> None:
    with pytest.raises(pandera.errors.SchemaError, match="rating"):
        merge_ratings(ratings_of([]), logged_of([(1, 1, 4.2, 0)]))


@given(st.lists(RATING), st.lists(RATING), st.integers(0, 99))
@settings(max_examples=60)
def test_every_rating_is_kept_and_the_last_of_each_pair_is_the_one_that_counts(
    base: Rows, logged: Rows, seed: int
) -> None:
    base = list({(u, i): (u, i, r, at) for u, i, r, at in base}.values())
    every = every_rating(shuffled(ratings_of(base), seed), shuffled(logged_of(logged), seed))
    given = [(u, i, r, T0 + at) for u, i, r, at in base + logged]
    assert sorted(every.rows()) == sorted(given)
    assert every.select("timestamp", "user_id", "item_id").rows() == sorted((at, u, i) for u, i, _, at in given)
    latest = every.unique(["user_id", "item_id"], keep="last", maintain_order=True)
    assert latest.equals(merge_ratings(ratings_of(base), logged_of(logged)).drop("event_id"))


def test_of_one_pair_in_one_second_the_logged_rating_comes_last() -> None:
    every = every_rating(ratings_of([(1, 1, 4.0, 5)]), logged_of([(1, 1, 2.0, 5), (1, 1, 3.0, 4)]))
    assert every["rating"].to_list() == [3.0, 4.0, 2.0]
    assert every.schema == RATINGS_COLUMNS


def test_the_cut_is_at_the_first_second_of_the_day() -> None:
    midnight = 1_474_070_400  # 2016-09-17
    table = ratings_of([(1, 1, 4.0, 0), (1, 2, 4.0, 1), (1, 3, 4.0, 2)]).with_columns(
        timestamp=pl.Series([midnight - 1, midnight, midnight + 1])
    )
    before, later = split_holdback(table, "2016-09-17")
    assert before["item_id"].to_list() == [1]
    assert later["item_id"].to_list() == [2, 3]


def test_without_a_day_nothing_is_held_back() -> None:
    table = ratings_of([(1, 1, 4.0, 0)])
    before, later = split_holdback(table, None)
    assert before is table
    assert later.is_empty()
    assert later.schema == table.schema


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2016-02-30", "hold_back_from: '2016-02-30' is not a day: write it as YYYY-MM-DD"),
        ("1970-01-01", "hold_back_from: no rating was given before 1970-01-01: choose a later day"),
    ],
)
def test_a_day_that_cannot_be_is_refused(day: str, said: str) -> None:
    with pytest.raises(DataError) as refused:
        split_holdback(ratings_of([(1, 1, 4.0, 0)]), day)
    assert str(refused.value) == said


def test_the_last_month_of_the_shipped_data_is_there() -> None:
    held = read_holdback(EMBEDDED, RAW, RatingsReadingConfig(hold_back_from="2016-09-17"))
    assert held.height == 327
    assert held["user_id"].n_unique() == 10


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (None, "nothing is held back that could be played: set base_ratings.hold_back_from"),
        ("2030-01-01", "no rating was given on 2030-01-01 or later: choose an earlier day"),
    ],
)
def test_nothing_to_play_is_said_with_the_remedy(day: str | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_holdback(EMBEDDED, RAW, RatingsReadingConfig(hold_back_from=day))


def test_a_digest_depends_on_the_ratings_and_not_on_their_order(ratings: pl.DataFrame) -> None:
    assert ratings_digest(shuffled(ratings)) == ratings_digest(ratings)
    assert ratings_digest(ratings.with_columns(other=1)) == ratings_digest(ratings)
    assert ratings_digest(ratings.clear()) != ratings_digest(ratings)


@pytest.mark.parametrize("column", ["user_id", "item_id", "rating", "timestamp"])
def test_any_changed_number_changes_the_digest(ratings: pl.DataFrame, column: str) -> None:
    other = ratings.with_columns(pl.when(pl.int_range(pl.len()) == 7).then(pl.col(column) + 1).otherwise(column))
    assert ratings_digest(other.cast(dict(ratings.schema))) != ratings_digest(ratings)
    assert ratings_digest(ratings.head(-1)) != ratings_digest(ratings)


def test_clicks_change_the_digest_and_their_order_does_not(ratings: pl.DataFrame) -> None:
    clicks = clicks_of(*TWO)
    assert ratings_digest(ratings, clicks) != ratings_digest(ratings)
    assert ratings_digest(ratings, clicks.head(1)) not in {ratings_digest(ratings), ratings_digest(ratings, clicks)}
    assert ratings_digest(shuffled(ratings), clicks.reverse()) == ratings_digest(ratings, clicks)


def test_no_clicks_are_as_good_as_none_at_all(ratings: pl.DataFrame) -> None:
    assert ratings_digest(ratings, clicks_of()) == ratings_digest(ratings, None) == ratings_digest(ratings)


@pytest.mark.parametrize("column", ["user_id", "item_id", "timestamp", "weight"])
def test_any_changed_number_of_a_click_changes_the_digest(ratings: pl.DataFrame, column: str) -> None:
    clicks = clicks_of(*TWO)
    other = clicks.with_columns(pl.when(pl.int_range(pl.len()) == 1).then(pl.col(column) + 1).otherwise(column))
    assert ratings_digest(ratings, other) != ratings_digest(ratings, clicks)


def test_stars_are_counted_fewest_first() -> None:
    assert ratings_by_stars(RATINGS).rows() == [(2.5, 1), (4.0, 1), (5.0, 2)]


def test_movies_are_counted_most_popular_first() -> None:
    assert ratings_by_rank(RATINGS).tolist() == [3, 1]


def test_the_figures_by_hand() -> None:
    assert about_ratings(RATINGS) == {
        "n_users": 3,
        "n_items": 2,
        "mean_rating": pytest.approx(16.5 / 4),
        "like_share": 0.75,
        "density": pytest.approx(4 / 6),
    }


def test_no_ratings_are_no_users_and_no_mean() -> None:
    assert ratings_by_stars(NOTHING).is_empty()
    assert ratings_by_rank(NOTHING).tolist() == []
    assert about_ratings(NOTHING) == {"n_users": 0, "n_items": 0}
