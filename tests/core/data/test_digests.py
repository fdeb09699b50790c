"""A digest says which ratings, and nothing else."""

import polars as pl
import pytest

from recsys_core.data.digests import ratings_digest
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
