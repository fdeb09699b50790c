"""What must hold of the data."""

import dagster as dg

from recsys_assets.resources import LakeResource


@dg.asset_check(asset="ratings", blocking=True)
def ratings_keep_their_schema(lake: LakeResource) -> dg.AssetCheckResult:
    """One rating per user and movie, on the half-star grid, at a possible time."""
    from pandera.errors import SchemaError

    from recsys_core.data.schemas import MERGED_RATINGS
    from recsys_core.tables import read_table

    table = read_table(lake.store.open("ratings") / "ratings.parquet")
    try:
        MERGED_RATINGS.validate(table)
    except SchemaError as fault:
        return dg.AssetCheckResult(passed=False, metadata={"fault": str(fault)[:2000]})
    return dg.AssetCheckResult(passed=True, metadata={"n_rows": table.height})


@dg.asset_check(asset="splits", blocking=True, additional_deps=["ratings"])
def no_slice_knows_its_future(lake: LakeResource) -> dg.AssetCheckResult:
    """Periods in order; every target after its user's cut, and neither known nor fitted on."""
    from recsys_core.data.leaks import leaks
    from recsys_core.data.splits import Splits
    from recsys_core.tables import read_table

    ratings = read_table(lake.store.open("ratings") / "ratings.parquet")
    found = leaks(ratings, Splits.load(lake.store.open("splits"), with_test_targets=True))
    return dg.AssetCheckResult(passed=not found, metadata={"leaks": dg.MetadataValue.json(found)})
