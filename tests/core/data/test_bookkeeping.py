"""The tables about tables: sources and slices."""

import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.data.bookkeeping import CUTOFFS, RAW_DATA, SLICE_USERS, TARGETS
from recsys_core.data.config import SplitsConfig
from recsys_core.data.slicing import make_splits
from tests import tiny_world


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
