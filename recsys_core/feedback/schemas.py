"""The tables that this stage produces. Each is checked once, where it is made, without coercion."""

import pandera.polars as pa
import polars as pl

from recsys_core.data.schemas import EARLIEST_TIMESTAMP

KINDS = ("rating", "click", "skip")
"""What a user can do with an item that was shown; only a rating has a value."""

MAX_EVENT_ID_CHARS = 128

INTERACTIONS_COLUMNS: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "user_id": pl.Int64(),
    "item_id": pl.Int64(),
    "kind": pl.String(),
    "value": pl.Float32(),
    "timestamp": pl.Int64(),
    "received_at": pl.Int64(),
}

INTERACTIONS = pa.DataFrameSchema(
    {
        "event_id": pa.Column(pl.String, pa.Check.str_length(1, MAX_EVENT_ID_CHARS), unique=True),
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0)),
        "item_id": pa.Column(pl.Int64, pa.Check.ge(0)),
        "kind": pa.Column(pl.String, pa.Check.isin(KINDS)),
        "value": pa.Column(pl.Float32, pa.Check.in_range(0.5, 5.0), nullable=True),
        "timestamp": pa.Column(pl.Int64, pa.Check.ge(EARLIEST_TIMESTAMP)),
        "received_at": pa.Column(pl.Int64, pa.Check.ge(EARLIEST_TIMESTAMP)),
    },
    name="interactions",
    strict=True,
    ordered=True,
)
"""One row per event of one arrival day: who did what with which item, a rating's stars (null for other kinds), when it
happened and when it arrived, in seconds UTC; sorted by timestamp, user_id, item_id, event_id."""
