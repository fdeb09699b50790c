"""Schemas and lineage in Dagster's words."""

import pandera.polars as pa
import polars as pl
import pytest

from recsys_assets.metadata.tables import columns_of, figures, table_metadata

SCHEMA = pa.DataFrameSchema(
    {
        "id": pa.Column(pl.Int64, pa.Check.ge(0), unique=True, description="Who."),
        "share": pa.Column(pl.Float64, pa.Check.in_range(0, 1, include_min=False), nullable=True),
        "kind": pa.Column(pl.String, pa.Check.isin(["a", "b"])),
        "star": pa.Column(pl.Float32, pa.Check.isin([number / 2 for number in range(1, 11)])),
        "name": pa.Column(pl.String, pa.Check.str_length(1, 128)),
        "even": pa.Column(pl.Int64, pa.Check(lambda data: data, error="is even")),
    },
    unique=["kind", "name"],
)
TABLE = pl.DataFrame(
    {"id": [1], "share": [0.5], "kind": ["a"], "star": [4.0], "name": ["x"], "even": [2]},
    schema_overrides={"star": pl.Float32},
)


def test_a_column_says_what_it_means_and_must_hold() -> None:
    found = {column.name: column for column in columns_of(SCHEMA)}
    assert (found["id"].type, found["id"].description) == ("Int64", "Who.")
    assert found["id"].constraints.unique
    assert not found["id"].constraints.nullable
    assert found["share"].constraints.nullable
    assert {name: column.constraints.other for name, column in found.items()} == {
        "id": [">= 0"],
        "share": ["> 0 and <= 1"],
        "kind": ["one of a, b"],
        "star": ["one of 0.5 ... 5.0"],
        "name": ["1 to 128 characters"],
        "even": ["is even"],
    }


def test_further_tables_are_named_before_their_columns() -> None:
    shown = table_metadata(TABLE, SCHEMA, other=(TABLE.clear(), SCHEMA))
    columns = [column.name for column in shown["dagster/column_schema"].columns]
    assert columns == [*TABLE.columns, *(f"other.{name}" for name in TABLE.columns)]
    assert (shown["dagster/row_count"], shown["n_rows.other"]) == (1, 0)
    assert shown["dagster/column_schema"].constraints.other == [
        "unique: kind, name", "unique: other.kind, other.name"
    ]  # fmt: skip


def test_lineage_names_asset_and_column_also_of_a_further_table() -> None:
    shown = table_metadata(TABLE, SCHEMA, {"id": ("splits.users.user_id", "ratings.user_id")})
    (deps,) = shown["dagster/column_lineage"].deps_by_column.values()
    assert {(dep.asset_key.to_user_string(), dep.column_name) for dep in deps} == {
        ("splits", "users.user_id"),
        ("ratings", "user_id"),
    }


def test_a_column_names_what_it_is_made_from() -> None:
    shown = table_metadata(TABLE, SCHEMA, {"id": ("ratings.user_id", "splits.users.user_id"), "kind": ("a.b",)})
    texts = {column.name: column.description for column in shown["dagster/column_schema"].columns}
    assert texts["id"] == "Who. From `ratings.user_id`, `splits.users.user_id`."
    assert texts["kind"] == "From `a.b`."
    assert texts["share"] is None


def test_without_lineage_none_is_shown() -> None:
    assert "dagster/column_lineage" not in table_metadata(TABLE, SCHEMA)


@pytest.mark.parametrize(("cell", "shown"), [(0.12345, "0.1235"), (3, "3"), (None, "None")])
def test_figures_have_four_digits(cell: object, shown: str) -> None:
    assert f"| {shown} |" in figures(pl.DataFrame({"x": [cell]})).value
