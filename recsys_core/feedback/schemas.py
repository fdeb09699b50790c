"""The tables of this stage: what the event log keeps, and what is made of it. Checked without coercion.

The columns of the log are declared in `records`. Seconds and microseconds are counted since 1970-01-01 UTC.
"""

import pandera.polars as pa
import polars as pl

from recsys_core.data.schemas import MAX_ID, MERGED_RATINGS
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, REQUESTS_TABLE, LogTable


def _schema_columns(table: LogTable) -> dict[str, pa.Column]:
    """The columns of a table of the log; its key is unique if it is one column."""
    return {
        name: pa.Column(
            column.kind.dtype,
            column.kind.stored,
            nullable=column.nullable,
            unique=table.key == (name,),
            description=column.description,
        )
        for name, column in table.declared.items()
    }


def _dtypes(schema: pa.DataFrameSchema) -> dict[str, pl.DataType]:
    return {name: column.dtype.type for name, column in schema.columns.items()}


REQUESTS = pa.DataFrameSchema(_schema_columns(REQUESTS_TABLE), name="requests", strict=True, ordered=True)
"""One row per answered request."""

IMPRESSIONS = pa.DataFrameSchema(
    _schema_columns(IMPRESSIONS_TABLE),
    name="impressions",
    strict=True,
    ordered=True,
    unique=[*IMPRESSIONS_TABLE.key],
)
"""One row per shown slot. `features` holds d float32 values and `feature_states` d bytes; d is 0 for an answer without
a ranker."""

_EVENT = _schema_columns(EVENTS_TABLE)

_BOUNDED = {
    "user_id": pa.Column(pl.Int64, pa.Check.in_range(0, MAX_ID), description="The user of the event."),
    "item_id": pa.Column(pl.Int64, pa.Check.in_range(0, MAX_ID), description="The item of the event."),
}

INTERACTIONS = pa.DataFrameSchema({**_EVENT, **_BOUNDED}, name="interactions", strict=True, ordered=True)
"""One row per event of one arrival day: after which request (null where it followed none of ours), who did what with
which item, a rating's stars (null for other kinds), when it happened and when it arrived, in seconds; sorted by
timestamp, user_id, item_id, event_id."""

REJECTED_EVENTS = pa.DataFrameSchema(
    {
        **_EVENT,
        "event_id": pa.Column(pl.String, EVENTS_TABLE.declared["event_id"].kind.stored, description="Names the event."),
        "reason": pa.Column(pl.String, description="The reason for the rejection."),
    },
    name="rejected_events",
    strict=True,
    ordered=True,
)
"""One row per event of one arrival day that the log holds and the interactions leave out, and why; sorted alike."""

KEPT = (
    "request_id", "user_id", "item_id", "position", "release", "policy", "propensity", "feature_set", "features",
    "feature_states",
)  # fmt: skip
"""What a judged slot carries on: propensity for evaluation alone, which policy and release showed it, what the ranker
read."""

_CLICK = {name: INTERACTIONS.columns[name] for name in ("user_id", "item_id", "timestamp", "request_id")}
_ID = INTERACTIONS.columns["event_id"].checks
_EVENT_ID = pa.Column(pl.String, _ID, unique=True, description="The event of the log that it comes from.")
_SECONDS = INTERACTIONS.columns["timestamp"].checks

LOGGED = pa.DataFrameSchema(
    {
        **{name: column for name, column in MERGED_RATINGS.columns.items() if name != "event_id"},
        "event_id": _EVENT_ID,
        "received_at": INTERACTIONS.columns["received_at"],
    },
    name="interaction_log_head",
    strict=True,
    ordered=True,
)
"""One row per logged rating; a pair may stand twice."""

_WHOSE_CLICK = {**_CLICK, "event_id": _EVENT_ID}

CLICKS = pa.DataFrameSchema(
    {**_WHOSE_CLICK, "received_at": INTERACTIONS.columns["received_at"]}, name="clicks", strict=True, ordered=True
)
"""One row per click."""

OUTCOMES = pa.DataFrameSchema(
    {
        **{name: IMPRESSIONS.columns[name] for name in KEPT},
        "shown_at": pa.Column(pl.Int64, _SECONDS, description="When it was shown, in seconds UTC."),
        "settled_at": pa.Column(
            pl.Int64, _SECONDS, description="First second (UTC) in which the label can no longer change."
        ),
        "label": pa.Column(pl.Int8, pa.Check.isin([0, 1]), description="1: liked; 0: shown and not liked."),
        "event_id": pa.Column(
            pl.String, _ID, nullable=True, description="The rating or click that made the label; null without one."
        ),
    },
    name="impression_outcomes",
    strict=True,
    ordered=True,
    unique=["request_id", "position"],
)
"""One row per shown slot that can be judged."""

IMPLICIT = pa.DataFrameSchema(
    {
        **_WHOSE_CLICK,
        "position": pa.Column(
            pl.Int64, pa.Check.ge(1), nullable=True, description="Place at which it was shown; null where unknown."
        ),
        "weight": pa.Column(pl.Float32, pa.Check.ge(0), description="Weight as a target; a like has weight 1."),
    },
    name="implicit_feedback",
    strict=True,
    ordered=True,
)
"""One row per click with its weight."""

IMPRESSIONS_COLUMNS = _dtypes(IMPRESSIONS)
INTERACTIONS_COLUMNS = _dtypes(INTERACTIONS)
LOGGED_COLUMNS = _dtypes(LOGGED)
CLICKS_COLUMNS = _dtypes(CLICKS)
OUTCOMES_COLUMNS = _dtypes(OUTCOMES)
IMPLICIT_COLUMNS = _dtypes(IMPLICIT)
