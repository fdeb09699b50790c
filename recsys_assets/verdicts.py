"""How a check says what it found."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from recsys_assets.resources import LakeResource

if TYPE_CHECKING:
    import pandera.polars as pa


def kept(violations: Sequence[str], n_rows: int) -> dg.AssetCheckResult:
    """Passed where a table breaks its contract nowhere; the violations are the evidence.

    Args:
        violations: a sentence for each.
        n_rows: of the table.
    """
    return dg.AssetCheckResult(
        passed=not violations, metadata={"n_rows": n_rows, "violations": dg.MetadataValue.json(list(violations))}
    )


def keeps_schema(lake: LakeResource, asset: str, schema: "pa.DataFrameSchema") -> dg.AssetCheckResult:
    """Whether the table of an asset, `ASSET.parquet`, breaks its schema nowhere.

    Args:
        lake: holds the asset.
        asset: its name.
        schema: what must hold of every row.
    """
    from recsys_core.contracts import violations
    from recsys_core.tables import read_table

    table = read_table(lake.store.open(asset) / f"{asset}.parquet")
    return kept(violations(table, schema), table.height)
