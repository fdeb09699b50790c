"""How often features have no value."""

import polars as pl

from recsys_core.features.missing import missing_shares
from recsys_core.features.registry import FEATURE_NAMES

FIRST, SECOND, THIRD = FEATURE_NAMES[:3]


def test_null_and_nan_both_count_and_the_worst_comes_first() -> None:
    table = pl.DataFrame({"slice": ["a"] * 4, FIRST: [1.0, 2.0, 3.0, 4.0], SECOND: [None, float("nan"), 1.0, 2.0]})
    assert missing_shares(table).rows() == [(SECOND, 0.5), (FIRST, 0.0)]


def test_equals_keep_the_order_of_the_registry() -> None:
    table = pl.DataFrame({THIRD: [1.0], FIRST: [1.0], SECOND: [1.0]})
    assert missing_shares(table)["feature"].to_list() == [FIRST, SECOND, THIRD]


def test_a_table_without_rows_misses_nothing() -> None:
    assert missing_shares(pl.DataFrame(schema={FIRST: pl.Float32})).rows() == [(FIRST, 0.0)]


def test_a_table_without_features_has_none() -> None:
    assert missing_shares(pl.DataFrame({"slice": ["a"]})).is_empty()
