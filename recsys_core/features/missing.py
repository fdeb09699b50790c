"""How often a feature has no value: the first thing to look at when a model grows worse."""

import polars as pl

from recsys_core.features.registry import FEATURE_NAMES


def missing_shares(table: pl.DataFrame) -> pl.DataFrame:
    """feature, share: how often each feature of a table is undefined (null or NaN), worst first.

    The share is 0 in a table without rows. Columns that are no features are left out.
    """
    names = [name for name in FEATURE_NAMES if name in table.columns]
    counts = table.select(pl.col(names).is_nan().fill_null(value=True).sum()).row(0) if names else ()
    n_rows = max(table.height, 1)
    shares = pl.DataFrame(
        {"feature": names, "share": [count / n_rows for count in counts]},
        schema={"feature": pl.String, "share": pl.Float64},
    )
    return shares.sort("share", descending=True, maintain_order=True)
