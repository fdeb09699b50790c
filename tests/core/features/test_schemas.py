"""Schemas that follow from the declarations, and what they say of a table that breaks them."""

from collections.abc import Callable

import pandera.polars as pa
import polars as pl
import pytest

from recsys_core.data.config import SplitsConfig
from recsys_core.data.splits import make_splits
from recsys_core.features.registry import FEATURE_NAMES, FEATURES, features_of, names_of
from recsys_core.features.schemas import (
    EXAMPLE_KEYS,
    ITEM_KEYS,
    USER_KEYS,
    example_schema,
    item_schema,
    user_schema,
)
from recsys_core.features.tables import item_features_by_slice, user_features_by_slice
from recsys_core.schema_errors import violations
from tests import tiny_world
from tests.core import embedded

SCHEMAS = {"item": item_schema, "user": user_schema}
KEYS = {"slice": "test", "user_id": 1, "item_id": 2, "label": 0, "known_at": 1_300_000_000}
KEPT = {one.name: None if one.may_be_missing else (one.low or 0.0) for one in FEATURES}
"""A row within all bounds; missing where that is allowed."""


def rows(*changes: dict[str, object]) -> pl.DataFrame:
    """`ranking_examples`, a row for each change of what is in order; ids differ."""
    made = [{**KEYS, **KEPT, "item_id": at, **change} for at, change in enumerate(changes)]
    return pl.DataFrame(made, schema={**EXAMPLE_KEYS, **dict.fromkeys(FEATURE_NAMES, pl.Float32)})


def found(table: pl.DataFrame) -> list[str]:
    return violations(table, example_schema())


def test_columns_are_the_keys_then_the_features_in_their_order() -> None:
    assert list(item_schema().columns) == [*ITEM_KEYS, *names_of("item")]
    assert list(user_schema().columns) == [*USER_KEYS, *names_of("user")]
    assert list(example_schema().columns) == [*EXAMPLE_KEYS, *FEATURE_NAMES]


def test_a_schema_says_of_each_feature_what_is_declared() -> None:
    for name, column in example_schema().columns.items():
        if name in FEATURE_NAMES:
            one = FEATURES[FEATURE_NAMES.index(name)]
            assert (column.description, column.nullable) == (one.description, one.may_be_missing)
            assert str(column.dtype) == one.dtype


def test_rows_within_their_bounds_violate_nothing() -> None:
    assert found(rows({}, {})) == []
    assert found(rows()) == []


@pytest.mark.parametrize(
    "read",
    [lambda: (tiny_world.ratings(), tiny_world.movies()), lambda: (embedded.ratings(), embedded.movies())],
    ids=["tiny world", "people"],
)
def test_the_tables_of_all_slices_keep_their_schemas(read: Callable[[], tuple[pl.DataFrame, pl.DataFrame]]) -> None:
    ratings, movies = read()
    splits = make_splits(ratings, SplitsConfig())
    items = item_features_by_slice(ratings, movies, splits)
    assert violations(items, item_schema()) == []
    assert violations(user_features_by_slice(ratings, items, splits), user_schema()) == []
    assert items["year"].null_count() > 0, "of some movies the title names no year, and that is no fault"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("item_like_share", 1.01, "item_like_share is above 1 in 2 rows"),
        ("item_mean_rating", 0.0, "item_mean_rating is below 0.5 in 2 rows"),
        ("item_age_years", -2.0, "item_age_years is below -1 in 2 rows"),
        ("pair_retrieval_rank", 0.0, "pair_retrieval_rank is below 1 in 2 rows"),
        ("context_hour", 24.0, "context_hour is above 23 in 2 rows"),
        ("item_popularity_share", None, "item_popularity_share is missing in 2 rows"),
        ("pair_retrieval_score", float("nan"), "pair_retrieval_score is missing in 2 rows"),
        ("pair_retrieval_score", float("inf"), "pair_retrieval_score is not finite in 2 rows"),
        ("pair_retrieval_z", float("-inf"), "pair_retrieval_z is not finite in 2 rows"),
        ("user_id", None, "user_id is missing in 2 rows"),
    ],
)
def test_a_value_that_breaks_a_rule_is_named_with_the_rule(name: str, value: float | None, sentence: str) -> None:
    assert found(rows({name: value}, {}, {name: value})) == [sentence]


RATED: dict[str, float | None] = {"item_like_share": 0.5, "item_mean_rating": 3.5, "item_days_known": 5.0}


@pytest.mark.parametrize("name", RATED)
def test_what_ratings_say_of_an_item_is_missing_only_where_it_has_none(name: str) -> None:
    lacking = {**RATED, name: None}
    assert found(rows(lacking, {**lacking, "item_popularity_share": 0.1})) == [
        "ranking_examples lacks what the ratings of an item say in 1 rows"
    ]


def test_each_of_several_faults_has_its_sentence() -> None:
    broken = rows({"item_like_share": 3.0, "context_hour": None}).drop("user_like_share")
    assert found(broken) == [
        "context_hour is missing in 1 rows",
        "item_like_share is above 1 in 1 rows",
        "user_like_share is absent",
    ]


def test_what_may_be_missing_may_be_null_or_nan() -> None:
    missing = {one.name: None for one in FEATURES if one.may_be_missing}
    assert len(missing) > 10
    assert found(rows(missing, dict.fromkeys(missing, float("nan")))) == []


@pytest.mark.parametrize("name", ["user_like_share", "label", "context_days_since_last"])
def test_an_absent_column_is_named(name: str) -> None:
    assert f"{name} is absent" in found(rows({}).drop(name))


def test_a_column_that_nobody_declared_is_named() -> None:
    assert found(rows({}).with_columns(user_height=pl.lit(1.0))) == ["user_height is not declared"]


def test_a_column_that_was_moved_is_named() -> None:
    moved = rows({}).select(*EXAMPLE_KEYS, FEATURE_NAMES[1], FEATURE_NAMES[0], *FEATURE_NAMES[2:])
    assert set(found(moved)) & {f"{name} is in another position" for name in FEATURE_NAMES[:2]}


def test_a_column_of_another_type_is_named() -> None:
    assert found(rows({}).cast({"item_like_share": pl.Float64})) == ["item_like_share is of type Float64"]
    assert "item_like_share is of type String" in found(rows({}).cast({"item_like_share": pl.String}))


def test_a_row_that_stands_twice_is_seen() -> None:
    assert found(pl.concat([rows({}), rows({"label": 1})])) == ["ranking_examples names one key twice in 2 rows"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "factor", "typical"),
    [
        ("days", 86_400, 30),
        ("years", 365, 20),
        ("stars", 20, 3.5),
        ("share", 100, 0.1),
        ("hour", 60, 5),
        ("cosine", 90, 0.5),
    ],
    ids=[
        "seconds for days",
        "days for years",
        "percent for stars",
        "percent for shares",
        "minutes for hours",
        "degrees",
    ],
)
def test_another_unit_leaves_the_bounds(unit: str, factor: float, typical: float) -> None:
    """Of every feature with that unit, at a value that is quite usual in it."""
    measured = [one.name for one in FEATURES if one.unit == unit]
    assert measured
    for name in measured:
        value = 2000.0 if name == "user_mean_liked_year" else typical
        assert found(rows({**RATED, name: value})) == []
        assert found(rows({name: value * factor})), name


@pytest.mark.parametrize("entity", SCHEMAS)
def test_the_tables_are_held_to_the_same_bounds(entity: str) -> None:
    schema: pa.DataFrameSchema = SCHEMAS[entity]()
    for one in features_of(entity):  # type: ignore[arg-type]
        column = schema.columns[one.name]
        assert [check.statistics for check in column.checks[1:]] == [
            {key: bound} for key, bound in (("min_value", one.low), ("max_value", one.high)) if bound is not None
        ]
