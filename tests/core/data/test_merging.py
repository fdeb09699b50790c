"""Base ratings and logged ones in one table."""

import pandera.errors
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.data.merging import every_rating, merge_ratings
from recsys_core.data.schemas import MERGED_RATINGS_COLUMNS, RATINGS_COLUMNS
from tests import tiny_world
from tests.core.tables_by_hand import T0, random_ratings, ratings_of, shuffled

Rows = list[tuple[int, int, float, int]]

RATING = st.tuples(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 10).map(lambda half: half / 2), st.integers(0, 4)
)


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
