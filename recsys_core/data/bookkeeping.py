"""The tables that say what the others are made of: which source, and which slices of the past.

Apart from `schemas`, whose every change is a new version of the features: these no feature reads.
"""

import pandera.polars as pa
import polars as pl

from recsys_core.data.schemas import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, LIKED, RATING_STEPS

_WINDOW = pa.Check.in_range(EARLIEST_TIMESTAMP, LATEST_TIMESTAMP)

RAW_DATA = pa.DataFrameSchema(
    {
        "dataset": pa.Column(
            pl.String, description="The name of a known data set, or a path, as the settings give it."
        ),
        "sha256": pa.Column(
            pl.String,
            pa.Check.str_length(64, 64),
            description="Digest of the zip, or of a folder's file names and bytes.",
        ),
    },
    name="raw_data",
    strict=True,
    ordered=True,
)
"""One row: which bytes the pipeline starts from."""

_SLICE = pa.Column(pl.String, description="A step of a window, or `now`: what its models may see, and whom it asks.")

CUTOFFS = pa.DataFrameSchema(
    {
        "slice": _SLICE,
        "window": pa.Column(pl.String, description="The window that the step belongs to."),
        "fit_end": pa.Column(pl.Int64, _WINDOW, description="First second that no model of the slice may see (UTC)."),
        "until": pa.Column(pl.Int64, pa.Check.ge(EARLIEST_TIMESTAMP), description="End of the window, exclusive, UTC."),
        "is_exam": pa.Column(pl.Boolean, description="Whether the window examines models, or only teaches."),
    },
    name="cutoffs",
    strict=True,
    ordered=True,
    unique=["slice"],
)
"""One row per slice of `splits.Splits`."""

SLICE_USERS = pa.DataFrameSchema(
    {
        "slice": _SLICE,
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), description="Who is asked in this slice."),
        "cut": pa.Column(pl.Int64, _WINDOW, description="First second of theirs that is not known when asking (UTC)."),
    },
    name="users",
    strict=True,
    ordered=True,
    unique=["slice", "user_id"],
)
"""One row per slice and user of `splits.Splits`."""

TARGETS = pa.DataFrameSchema(
    {
        "slice": _SLICE,
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), description="Who liked it."),
        "item_id": pa.Column(pl.Int64, pa.Check.ge(0), description="What is to be found."),
        "rating": pa.Column(
            pl.Float32, pa.Check.in_range(LIKED, RATING_STEPS[-1]), description="Stars: all are likes."
        ),
        "timestamp": pa.Column(pl.Int64, _WINDOW, description="When it was liked: at or after the user's cut (UTC)."),
    },
    name="targets",
    strict=True,
    ordered=True,
    unique=["slice", "user_id", "item_id"],
)
"""One row per slice, user and liked item of `splits.Splits`; those of the test lie in a file of their own."""
