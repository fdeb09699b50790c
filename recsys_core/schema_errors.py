"""Explain in sentences where a table breaks its schema."""

import pandera.polars as pa
import polars as pl
import polars.selectors as cs
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors


def violations(table: pl.DataFrame, schema: pa.DataFrameSchema) -> list[str]:
    """Where a table breaks its schema, as sentences; empty when it keeps it. NaN counts as missing, as null does."""
    try:
        schema.validate(table.with_columns(cs.float().fill_nan(None)), lazy=True)
    except SchemaErrors as faults:
        return sorted({_sentence(fault) for fault in faults.schema_errors})
    return []


def _sentence(fault: SchemaError) -> str:
    """Which column breaks which rule, and in how many rows where it is about rows."""
    words = {
        SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME: f"{fault.failure_cases} is absent",
        SchemaErrorReason.COLUMN_NOT_IN_SCHEMA: f"{fault.failure_cases} is not declared",
        SchemaErrorReason.COLUMN_NOT_ORDERED: f"{fault.failure_cases} is in another position",
        SchemaErrorReason.WRONG_DATATYPE: f"{fault.schema.name} is of type {fault.failure_cases}",
        SchemaErrorReason.CHECK_ERROR: f"{fault.schema.name} cannot be checked",
        SchemaErrorReason.SERIES_CONTAINS_NULLS: f"{fault.schema.name} is missing",
        SchemaErrorReason.DUPLICATES: f"{fault.schema.name} names one key twice",
    }
    rule = words.get(fault.reason_code) or f"{fault.schema.name} {getattr(fault.check, 'error', fault.check)}"
    return f"{rule} in {len(fault.failure_cases)} rows" if isinstance(fault.failure_cases, pl.DataFrame) else rule
