"""Checks that a table keeps its schema."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from recsys_assets.resources import LakeResource

if TYPE_CHECKING:
    import pandera.polars as pa


def schema_check(asset: str) -> Callable[[Callable[[], "pa.DataFrameSchema"]], dg.AssetChecksDefinition]:
    """Make a blocking check of an asset's table, `ASSET.parquet`, from a function that returns its schema.

    The function gives the check its name and description. It is called when the check runs, so that pandera is not
    imported when the definitions load.

    Args:
        asset: the asset to check.
    """

    def declare(schema: Callable[[], "pa.DataFrameSchema"]) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset=asset, name=schema.__name__, description=inspect.getdoc(schema), blocking=True)
        def check(lake: LakeResource) -> dg.AssetCheckResult:
            from recsys_core.schema_errors import violations
            from recsys_core.tables import read_table

            table = read_table(lake.store.open(asset) / f"{asset}.parquet")
            return result_of(violations(table, schema()), table.height)

        return check

    return declare


def result_of(violations: Sequence[str], n_rows: int) -> dg.AssetCheckResult:
    """Passed if there are no violations; the result shows them.

    Args:
        violations: a sentence for each violation of the schema.
        n_rows: number of rows in the table.
    """
    return dg.AssetCheckResult(
        passed=not violations, metadata={"n_rows": n_rows, "violations": dg.MetadataValue.json(list(violations))}
    )
