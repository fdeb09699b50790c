"""The tables of the retrieval report: their columns, bounds and descriptions."""

import pandera.polars as pa
import polars as pl

_SHARE = pa.Check.in_range(0, 1)

RECALL = pa.DataFrameSchema(
    {
        "k": pa.Column(pl.Int64, pa.Check.ge(1), description="Number of candidates."),
        "slice": pa.Column(pl.String, description="A step of a development window."),
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), description="A user of the slice."),
        "recall": pa.Column(pl.Float64, _SHARE, description="Share of the user's held-out likes among the candidates."),
    },
    name="recall",
    strict=True,
    ordered=True,
    unique=["k", "slice", "user_id"],
)

INDEX_RECALL = pa.DataFrameSchema(
    {
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), unique=True, description="A user with recent ratings."),
        "recall": pa.Column(pl.Float32, _SHARE, description="Share of the exact result that the index finds."),
    },
    name="index_recall",
    strict=True,
    ordered=True,
)
