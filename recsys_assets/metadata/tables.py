"""Tables as Dagster's types: row counts, columns with descriptions and constraints, and the lineage of each column.

Columns and constraints come from the schemas of core, so the UI cannot promise anything that is not checked. Dagster
has one schema per asset. So an artifact of several tables shows the columns of its main table by name, and the columns
of the other tables as `table.column`. The sources of a column are also in its description, because the open-source UI
shows column lineage only as JSON.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

if TYPE_CHECKING:  # pandera takes half a second to import, which would slow the loading of definitions
    import pandera.polars as pa

    from recsys_core.features.feature import Feature

Metadata = dict[str, Any]  # Dagster's own type of raw metadata

Lineage = Mapping[str, tuple[str, ...]]
"""Column -> the columns that it is made from, as `asset.column`."""

SCHEMA, LINEAGE, ROW_COUNT = "dagster/column_schema", "dagster/column_lineage", "dagster/row_count"
"""Labels to which the UI gives a meaning of its own."""

COLUMNS = "columns"
"""Label of columns that the UI opens on a click."""

MAX_LISTED = 6
"""Allowed values that are all listed; of a longer list, only the first and the last are."""


def table_metadata(
    table: pl.DataFrame,
    schema: "pa.DataFrameSchema",
    lineage: Lineage | None = None,
    **others: tuple[pl.DataFrame, "pa.DataFrameSchema"],
) -> Metadata:
    """Row counts, columns and lineage of the tables of an artifact.

    Args:
        table: the main table.
        schema: its schema.
        lineage: of any columns, under the names that the UI shows.
        others: further tables of the artifact with their schemas, by the names of their files.
    """
    columns = [*columns_of(schema)]
    constraints = _unique_together(schema)
    for name, (_, other) in others.items():
        columns += columns_of(other, f"{name}.")
        constraints += _unique_together(other, f"{name}.")
    counts = {f"n_rows.{name}": other.height for name, (other, _) in others.items()}
    return {
        ROW_COUNT: table.height,
        **counts,
        SCHEMA: dg.TableSchema(
            columns=[_with_sources(column, (lineage or {}).get(column.name, ())) for column in columns],
            constraints=dg.TableConstraints(other=constraints),
        ),
        **_lineage(lineage or {}),
    }


def feature_table_metadata(
    table: pl.DataFrame,
    schema: "pa.DataFrameSchema",
    lineage: Lineage,
    **others: tuple[pl.DataFrame, "pa.DataFrameSchema"],
) -> Metadata:
    """Like `table_metadata`, with the registry's declarations of features; `lineage` is of the other columns."""
    from recsys_core.features.registry import FEATURES

    declared = {one.name: one for one in FEATURES if one.name in schema.columns}
    sources = {name: tuple(one.sources) for name, one in declared.items()}
    metadata = table_metadata(table, schema, {**lineage, **sources}, **others)
    columns = [
        _with_sources(_declared_column(declared[column.name]), sources[column.name])
        if column.name in declared
        else column
        for column in metadata[SCHEMA].columns
    ]
    return metadata | {SCHEMA: dg.TableSchema(columns=columns, constraints=metadata[SCHEMA].constraints)}


def columns_on_demand(metadata: Metadata) -> Metadata:
    """The same metadata with another label for the columns, so that the UI does not show them above the figures."""
    return {name: value for name, value in metadata.items() if name != SCHEMA} | {COLUMNS: metadata[SCHEMA]}


def columns_of(schema: "pa.DataFrameSchema", prefix: str = "") -> Iterator[dg.TableColumn]:
    """Yield the columns of a schema."""
    for name, column in schema.columns.items():
        constraints = dg.TableColumnConstraints(
            nullable=column.nullable,
            unique=column.unique,
            other=[_in_words(check) for check in column.checks or ()],
        )
        yield dg.TableColumn(f"{prefix}{name}", str(column.dtype), column.description, constraints)


def figures(table: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """A table of figures, floats with four decimals."""
    from recsys_core.markdown import markdown_table

    rows = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.iter_rows()]
    return dg.MetadataValue.md(markdown_table(table.columns, rows))


def _declared_column(one: "Feature[Any]") -> dg.TableColumn:
    bounds = [f">= {one.low:g}"] if one.low is not None else []
    bounds += [f"<= {one.high:g}"] if one.high is not None else []
    return dg.TableColumn(
        one.name,
        one.dtype,
        f"{one.description} Unit: {one.unit}.",
        dg.TableColumnConstraints(nullable=one.may_be_missing, other=bounds),
        tags={"group": one.group, "owner": one.owner.removeprefix("team:")},
    )


def _with_sources(column: dg.TableColumn, sources: tuple[str, ...]) -> dg.TableColumn:
    if not sources:
        return column
    named = ", ".join(f"`{source}`" for source in sources)
    text = f"{column.description or ''} From {named}.".lstrip()
    return dg.TableColumn(column.name, column.type, text, column.constraints, tags=column.tags)


def _in_words(check: "pa.Check") -> str:
    """The condition of a check, short enough for a label."""
    given: dict[str, Any] = check.statistics or {}
    match check.name:
        case "greater_than_or_equal_to":
            return f">= {given['min_value']:,}"
        case "in_range":
            below = ">=" if given["include_min"] else ">"
            return f"{below} {given['min_value']:,} and <= {given['max_value']:,}"
        case "isin":
            values = [str(value) for value in given["allowed_values"]]
            return "one of " + (", ".join(values) if len(values) <= MAX_LISTED else f"{values[0]} ... {values[-1]}")
        case "str_length":
            return f"{given['min_value']} to {given['max_value']} characters"
    return str(check.error or check.name)


def _unique_together(schema: "pa.DataFrameSchema", prefix: str = "") -> list[str]:
    return [f"unique: {', '.join(prefix + name for name in schema.unique)}"] if schema.unique else []


def _lineage(lineage: Lineage) -> Metadata:
    if not lineage:
        return {}
    deps = {
        name: [dg.TableColumnDep(dg.AssetKey(asset), column) for asset, _, column in (at.partition(".") for at in made)]
        for name, made in lineage.items()
    }
    return {LINEAGE: dg.TableColumnLineage(deps)}
