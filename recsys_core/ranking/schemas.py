"""The tables of this stage: their columns, and which training rows come from the log."""

import pandera.polars as pa
import polars as pl

from recsys_core.features.registry import FEATURE_NAMES

SHOWN = "shown/"
"""Prefix of the name of a slice that is one logged request: `shown/<request_id>`."""

_SHARE = pa.Check.in_range(0, 1)


def is_shown() -> pl.Expr:
    """Whether a training row comes from a logged impression."""
    return pl.col("slice").str.starts_with(SHOWN)


def _within(low: float, high: float) -> pa.Check:
    """Between bounds, or NaN, which polars sorts above all numbers: an unused feature has no direction."""
    return pa.Check(
        lambda data: data.lazyframe.select(pl.col(data.key).is_between(low, high) | pl.col(data.key).is_nan()),
        error=f"is not between {low:g} and {high:g}",
    )


N_TARGETS = pa.DataFrameSchema(
    {
        "slice": pa.Column(pl.String, description="Name of the slice."),
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), description="The user of the query."),
        "n_targets": pa.Column(pl.Int64, pa.Check.ge(1), description="Number of targets, missed ones included."),
    },
    name="n_targets",
    strict=True,
    ordered=True,
    unique=["slice", "user_id"],
)

PER_USER = pa.DataFrameSchema(
    {
        "window": pa.Column(pl.String, description="A development window."),
        "order": pa.Column(pl.String, pa.Check.isin(["retrieval", "ranking"]), description="Whose order is judged."),
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), description="A user of the window."),
        "ndcg": pa.Column(pl.Float64, _SHARE, description="NDCG of the first ten places, end to end."),
        "map": pa.Column(pl.Float64, _SHARE, description="Average precision of the first ten places."),
    },
    name="per_user",
    strict=True,
    ordered=True,
    unique=["window", "order", "user_id"],
)

IMPORTANCE = pa.DataFrameSchema(
    {
        "feature": pa.Column(pl.String, pa.Check.isin(FEATURE_NAMES), unique=True, description="Its name."),
        "mean_abs_shap": pa.Column(
            pl.Float64, pa.Check.ge(0), nullable=True, description="By how much it moves a score, on average."
        ),
        "direction": pa.Column(
            pl.Float64,
            _within(-1.0001, 1.0001),  # a correlation, in floats
            nullable=True,
            description="Near +1 where more of it raises the score, near -1 where it lowers it.",
        ),
        "gain": pa.Column(pl.Float64, pa.Check.ge(0), description="Mean gain of its splits; 0 where never used."),
    },
    name="importance",
    strict=True,
    ordered=True,
)

FORECASTS = pa.DataFrameSchema(
    {
        "forecast": pa.Column(pl.String, description="The calibrated curve, or the base rate for all candidates."),
        "rows": pa.Column(pl.String, description="All candidates, or the first of each user."),
        "n": pa.Column(pl.Int64, pa.Check.ge(0), description="Rows that were judged."),
        "predicted": pa.Column(pl.Float64, _SHARE, nullable=True, description="Mean stated probability."),
        "observed": pa.Column(pl.Float64, _SHARE, nullable=True, description="Share that was liked."),
        "brier": pa.Column(pl.Float64, _SHARE, nullable=True, description="Mean squared error; less is better."),
        "log_loss": pa.Column(pl.Float64, pa.Check.ge(0), nullable=True, description="In nats; less is better."),
        "calibration_error": pa.Column(
            pl.Float64, _SHARE, nullable=True, description="Mean distance of stated from observed, over bins."
        ),
    },
    name="forecasts",
    strict=True,
    ordered=True,
    unique=["forecast", "rows"],
)

RELIABILITY = pa.DataFrameSchema(
    {
        "bin": pa.Column(pl.Int64, pa.Check.ge(1), unique=True, description="From the lowest probabilities up."),
        "n": pa.Column(pl.Int64, pa.Check.ge(1), description="Rows in the bin."),
        "predicted": pa.Column(pl.Float64, _SHARE, description="Mean stated probability."),
        "observed": pa.Column(pl.Float64, _SHARE, description="Share that was liked."),
        "low": pa.Column(pl.Float64, nullable=True, description="Lower end of its 95 % interval over users."),
        "high": pa.Column(pl.Float64, nullable=True, description="Upper end of that interval."),
    },
    name="reliability",
    strict=True,
    ordered=True,
)
