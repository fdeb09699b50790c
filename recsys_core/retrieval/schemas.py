"""The tables of the retrieval report and of the baselines' tuning, as their readers see them described."""

import pandera.polars as pa
import polars as pl

_SHARE = pa.Check.in_range(0, 1)

RECALL = pa.DataFrameSchema(
    {
        "k": pa.Column(pl.Int64, pa.Check.ge(1), description="How many candidates are looked at."),
        "slice": pa.Column(pl.String, description="A step of a development window."),
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), description="A user whom it asks."),
        "recall": pa.Column(pl.Float64, _SHARE, description="Share of the user's held-out likes among the candidates."),
    },
    name="recall",
    strict=True,
    ordered=True,
    unique=["k", "slice", "user_id"],
)

INDEX_RECALL = pa.DataFrameSchema(
    {
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), unique=True, description="A user of those who rated last."),
        "recall": pa.Column(pl.Float32, _SHARE, description="Share of the exact answer that the index gives."),
    },
    name="index_recall",
    strict=True,
    ordered=True,
)

TRIALS = pa.DataFrameSchema(
    {
        "model": pa.Column(pl.String, description="The baseline."),
        "settings": pa.Column(pl.String, description="What was tried, as JSON."),
        "ndcg_at_10": pa.Column(pl.Float64, _SHARE, description="Mean over the users of the development windows."),
        "recall_at_100": pa.Column(pl.Float64, _SHARE, description="Mean over the same users."),
    },
    name="trials",
    strict=True,
    ordered=True,
    unique=["model", "settings"],
)
