"""The tables of the data stage refuse what no reader should let through."""

import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.data.config import SplitsConfig
from recsys_core.data.schemas import (
    CUTOFFS,
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    RATINGS,
    RATINGS_COLUMNS,
    RAW_DATA,
    SLICE_USERS,
    TARGETS,
)
from recsys_core.data.splits import make_splits
from tests import tiny_world


def ratings(rating: float = 4.0, timestamp: int = 1_000_000_000, item_ids: tuple[int, ...] = (1,)) -> pl.DataFrame:
    rows = [(7, item_id, rating, timestamp) for item_id in item_ids]
    return pl.DataFrame(rows, schema=RATINGS_COLUMNS, orient="row")


def test_a_plain_rating_passes() -> None:
    assert RATINGS.validate(ratings()).height == 1


@pytest.mark.parametrize("rating", [0.0, 3.7, 5.5, float("nan")])
def test_a_rating_off_the_half_star_grid_is_refused(rating: float) -> None:
    with pytest.raises(SchemaError):
        RATINGS.validate(ratings(rating=rating))


@pytest.mark.parametrize("timestamp", [0, EARLIEST_TIMESTAMP - 1, LATEST_TIMESTAMP + 1, 1_000_000_000_000])
def test_a_timestamp_outside_the_window_is_refused_milliseconds_too(timestamp: int) -> None:
    with pytest.raises(SchemaError):
        RATINGS.validate(ratings(timestamp=timestamp))


def test_a_second_rating_of_the_same_pair_is_refused() -> None:
    with pytest.raises(SchemaError):
        RATINGS.validate(ratings(item_ids=(1, 1)))


def test_slices_keep_their_schemas() -> None:
    splits = make_splits(tiny_world.ratings(), SplitsConfig())
    CUTOFFS.validate(splits.cutoffs)
    SLICE_USERS.validate(splits.users)
    TARGETS.validate(splits.targets)


def test_what_was_not_liked_is_no_target() -> None:
    target = make_splits(tiny_world.ratings(), SplitsConfig()).targets.head(1)
    with pytest.raises(SchemaError):
        TARGETS.validate(target.with_columns(rating=pl.lit(3.5, pl.Float32)))


def test_half_a_digest_is_none() -> None:
    RAW_DATA.validate(pl.DataFrame({"dataset": ["x"], "sha256": ["a" * 64]}))
    with pytest.raises(SchemaError):
        RAW_DATA.validate(pl.DataFrame({"dataset": ["x"], "sha256": ["a" * 32]}))
