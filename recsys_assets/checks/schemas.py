"""Tables keep their schemas: one blocking check per table, all made by `schema_check`.

Each schema is declared in core, where the table is made; the check reads the stored table again.
"""

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


@schema_check("movies")
def movies_keep_their_schema() -> "pa.DataFrameSchema":
    """One row per movie, with an id, a title, genres, and a possible year."""
    from recsys_core.data.schemas import MOVIES

    return MOVIES


@schema_check("ratings")
def ratings_keep_their_schema() -> "pa.DataFrameSchema":
    """One rating per user and movie, in half stars, at a possible time."""
    from recsys_core.data.schemas import MERGED_RATINGS

    return MERGED_RATINGS


@schema_check("impression_outcomes")
def outcomes_keep_their_contract() -> "pa.DataFrameSchema":
    """One outcome per shown slot: a like or none, known after the slot was shown, with a propensity above 0."""
    from recsys_core.feedback.schemas import OUTCOMES

    return OUTCOMES


@schema_check("implicit_feedback")
def clicks_keep_their_contract() -> "pa.DataFrameSchema":
    """Each click appears once, at a possible time and position, with a weight of 0 or more."""
    from recsys_core.feedback.schemas import IMPLICIT

    return IMPLICIT


@schema_check("item_features")
def item_features_keep_their_schema() -> "pa.DataFrameSchema":
    """Every item feature is within its declared range, and missing only where the declaration allows it."""
    from recsys_core.features.schemas import item_schema

    return item_schema()


@schema_check("user_features")
def user_features_keep_their_schema() -> "pa.DataFrameSchema":
    """Every user feature is within its declared range, and missing only where the declaration allows it."""
    from recsys_core.features.schemas import user_schema

    return user_schema()
