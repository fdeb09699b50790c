"""The tables of this stage: what the event log keeps, and what leaves it. Checked without coercion.

Seconds and microseconds are counted since 1970-01-01 UTC.
"""

import pandera.polars as pa
import polars as pl

from recsys_core.data.schemas import EARLIEST_TIMESTAMP, MAX_ID

KINDS = ("rating", "click", "skip")
"""What a user can do with an item that was shown; only a rating has a value."""

MAX_ID_CHARS = 128

FRESH, MISSING, STALE = 0, 1, 2
"""What a feature's value was when it was read: as declared; undefined, or older than allowed, so that a default stood
in for it."""

REQUESTS_COLUMNS: dict[str, pl.DataType] = {
    "request_id": pl.String(),
    "user_id": pl.Int64(),
    "history": pl.String(),
    "k": pl.Int64(),
    "requested_at": pl.Int64(),
    "served_at": pl.Int64(),
    "release": pl.String(),
}

IMPRESSIONS_COLUMNS: dict[str, pl.DataType] = {
    "request_id": pl.String(),
    "user_id": pl.Int64(),
    "item_id": pl.Int64(),
    "position": pl.Int64(),
    "release": pl.String(),
    "policy": pl.String(),
    "propensity": pl.Float64(),
    "score": pl.Float64(),
    "retrieval_score": pl.Float64(),
    "retrieval_rank": pl.Int64(),
    "probability": pl.Float64(),
    "feature_set": pl.String(),
    "features": pl.Binary(),
    "feature_states": pl.Binary(),
    "requested_at": pl.Int64(),
    "served_at": pl.Int64(),
}

INTERACTIONS_COLUMNS: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "request_id": pl.String(),
    "user_id": pl.Int64(),
    "item_id": pl.Int64(),
    "kind": pl.String(),
    "value": pl.Float32(),
    "timestamp": pl.Int64(),
    "received_at": pl.Int64(),
}

_ID = pa.Check.str_length(1, MAX_ID_CHARS)
_SECONDS = pa.Check.ge(EARLIEST_TIMESTAMP)
_MICROSECONDS = pa.Check.ge(EARLIEST_TIMESTAMP * 1_000_000)

REQUESTS = pa.DataFrameSchema(
    {
        "request_id": pa.Column(pl.String, _ID, unique=True, description="Names the request."),
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), nullable=True, description="Who asked; null: nobody we know."),
        "history": pa.Column(
            pl.String,
            nullable=True,
            description="What came with the request: JSON [[item_id, rating, timestamp], ...]; null where nothing did.",
        ),
        "k": pa.Column(pl.Int64, pa.Check.ge(1), description="How many items were asked for."),
        "requested_at": pa.Column(pl.Int64, _SECONDS, description="The second (UTC) as of which it was answered."),
        "served_at": pa.Column(pl.Int64, _MICROSECONDS, description="When it was answered, in microseconds UTC."),
        "release": pa.Column(pl.String, _ID, description="The release that answered."),
    },
    name="requests",
    strict=True,
    ordered=True,
)
"""One row per answered request: who asked (null: nobody we know); the history where it came with the request, as JSON
[[item_id, rating, timestamp], ...] (else null); how many items were asked for; `requested_at`, the second as of which
it was answered; `served_at`, when it was answered, in microseconds; the release that answered."""

IMPRESSIONS = pa.DataFrameSchema(
    {
        "request_id": pa.Column(pl.String, _ID, description="The request that was answered."),
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), nullable=True, description="Who saw it; null: nobody we know."),
        "item_id": pa.Column(pl.Int64, pa.Check.ge(0), description="What was shown."),
        "position": pa.Column(pl.Int64, pa.Check.ge(1), description="The place in the list, from 1."),
        "release": pa.Column(pl.String, _ID, description="The release that answered."),
        "policy": pa.Column(pl.String, _ID, description="The policy that filled the slot, list rules included."),
        "propensity": pa.Column(
            pl.Float64,
            pa.Check.in_range(0, 1, include_min=False),
            description="The chance with which this item stood there.",
        ),
        "score": pa.Column(pl.Float64, description="What ordered the list: higher stands first."),
        "retrieval_score": pa.Column(
            pl.Float64, nullable=True, description="Score of retrieval; null where the item did not come from there."
        ),
        "retrieval_rank": pa.Column(
            pl.Int64,
            pa.Check.ge(1),
            nullable=True,
            description="Place in the order of retrieval, from 1; null likewise.",
        ),
        "probability": pa.Column(
            pl.Float64,
            pa.Check.in_range(0, 1),
            nullable=True,
            description="Stated probability of a like; null where the ranker is not calibrated.",
        ),
        "feature_set": pa.Column(pl.String, _ID, description="Version of the features that were read."),
        "features": pa.Column(
            pl.Binary, description="What the ranker read: float32, little-endian, NaN where missing."
        ),
        "feature_states": pa.Column(pl.Binary, description="A byte per feature: 0 fresh, 1 missing, 2 stale."),
        "requested_at": pa.Column(pl.Int64, _SECONDS, description="The second (UTC) as of which it was answered."),
        "served_at": pa.Column(pl.Int64, _MICROSECONDS, description="When it was answered, in microseconds UTC."),
    },
    name="impressions",
    strict=True,
    ordered=True,
    unique=["request_id", "position"],
)
"""One row per shown slot, position 1 being the first: the policy that filled it and with what chance this item stood
there; what ordered it (`score`; `retrieval_score` and `retrieval_rank` from 1, null where it did not come from
retrieval; `probability` of a like, null where the ranker is not calibrated); what the ranker read (`features`, d
float32 as little-endian bytes, NaN where missing; `feature_states`, d bytes: FRESH, MISSING or STALE; d is 0 for an
answer without a ranker); `requested_at` in seconds and `served_at` in microseconds, as in REQUESTS."""

_EVENT = {
    "event_id": pa.Column(
        pl.String, _ID, unique=True, description="Names the event; a second delivery of it is a repeat."
    ),
    "request_id": pa.Column(
        pl.String, _ID, nullable=True, description="The request that it followed; null where it followed none of ours."
    ),
    "user_id": pa.Column(pl.Int64, pa.Check.ge(0), description="Who did it."),
    "item_id": pa.Column(pl.Int64, pa.Check.ge(0), description="With which item."),
    "kind": pa.Column(pl.String, pa.Check.isin(KINDS), description="What was done."),
    "value": pa.Column(
        pl.Float32, pa.Check.in_range(0.5, 5.0), nullable=True, description="Stars of a rating; null for other kinds."
    ),
    "timestamp": pa.Column(pl.Int64, _SECONDS, description="When it happened, in seconds UTC."),
    "received_at": pa.Column(pl.Int64, _SECONDS, description="When it arrived, in seconds UTC."),
}

_BOUNDED = {
    "user_id": pa.Column(pl.Int64, pa.Check.in_range(0, MAX_ID), description="Who did it."),
    "item_id": pa.Column(pl.Int64, pa.Check.in_range(0, MAX_ID), description="With which item."),
}

INTERACTIONS = pa.DataFrameSchema({**_EVENT, **_BOUNDED}, name="interactions", strict=True, ordered=True)
"""One row per event of one arrival day: after which request (null where it followed none of ours), who did what with
which item, a rating's stars (null for other kinds), when it happened and when it arrived, in seconds; sorted by
timestamp, user_id, item_id, event_id."""

REJECTED_EVENTS = pa.DataFrameSchema(
    {
        **_EVENT,
        "event_id": pa.Column(pl.String, _ID, description="Names the event."),
        "reason": pa.Column(pl.String, description="Why it was left out."),
    },
    name="rejected_events",
    strict=True,
    ordered=True,
)
"""One row per event of one arrival day that the log holds and the interactions leave out, and why; sorted alike."""
