"""A digest says which ratings and clicks, and nothing else."""

import polars as pl
import pytest

from recsys_core.data.digests import ratings_digest
from recsys_core.feedback.implicit import IMPLICIT_COLUMNS
from tests import tiny_world
from tests.core.tables_by_hand import shuffled


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return tiny_world.ratings()


def test_a_digest_depends_on_the_ratings_and_not_on_their_order(ratings: pl.DataFrame) -> None:
    assert ratings_digest(shuffled(ratings)) == ratings_digest(ratings)
    assert ratings_digest(ratings.with_columns(other=1)) == ratings_digest(ratings)
    assert ratings_digest(ratings.clear()) != ratings_digest(ratings)


@pytest.mark.parametrize("column", ["user_id", "item_id", "rating", "timestamp"])
def test_any_changed_number_changes_the_digest(ratings: pl.DataFrame, column: str) -> None:
    other = ratings.with_columns(pl.when(pl.int_range(pl.len()) == 7).then(pl.col(column) + 1).otherwise(column))
    assert ratings_digest(other.cast(dict(ratings.schema))) != ratings_digest(ratings)
    assert ratings_digest(ratings.head(-1)) != ratings_digest(ratings)


def clicks_of(*rows: tuple[int, int, int, float]) -> pl.DataFrame:
    """(user_id, item_id, timestamp, weight)."""
    full = [(user, item, at, None, f"e{n}", None, weight) for n, (user, item, at, weight) in enumerate(rows)]
    return pl.DataFrame(full, schema=IMPLICIT_COLUMNS, orient="row")


TWO = ((11, 5_000, 1_300_000_000, 0.5), (14, 5_007, 1_300_000_009, 1.0))


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
