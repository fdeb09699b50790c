"""The tables that are made of what users did, as their readers see them described.

Apart from `schemas`, which holds what the log keeps and checks: these follow from it.
"""

import pandera.polars as pa
import polars as pl

from recsys_core.data.schemas import MERGED_RATINGS
from recsys_core.feedback.schemas import IMPRESSIONS, INTERACTIONS

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
"""One row per logged rating, a pair may stand twice: `head.LOGGED_COLUMNS`."""

_WHOSE_CLICK = {**_CLICK, "event_id": _EVENT_ID}

CLICKS = pa.DataFrameSchema(
    {**_WHOSE_CLICK, "received_at": INTERACTIONS.columns["received_at"]}, name="clicks", strict=True, ordered=True
)
"""One row per click: `head.CLICKS_COLUMNS`."""

OUTCOMES = pa.DataFrameSchema(
    {
        **{name: IMPRESSIONS.columns[name] for name in KEPT},
        "shown_at": pa.Column(pl.Int64, _SECONDS, description="When it was shown, in seconds UTC."),
        "settled_at": pa.Column(
            pl.Int64, _SECONDS, description="First second (UTC) in which nothing can change the label any more."
        ),
        "label": pa.Column(pl.Int8, pa.Check.isin([0, 1]), description="1: liked; 0: seen, or could be, and left."),
        "event_id": pa.Column(
            pl.String, _ID, nullable=True, description="The rating or click that made the label; null without one."
        ),
    },
    name="impression_outcomes",
    strict=True,
    ordered=True,
    unique=["request_id", "position"],
)
"""One row per shown slot that can be judged: `outcomes.OUTCOMES_COLUMNS`."""

IMPLICIT = pa.DataFrameSchema(
    {
        **_WHOSE_CLICK,
        "position": pa.Column(
            pl.Int64, pa.Check.ge(1), nullable=True, description="Place at which it was shown; null where unknown."
        ),
        "weight": pa.Column(pl.Float32, pa.Check.ge(0), description="What it weighs as a target, beside 1 for a like."),
    },
    name="implicit_feedback",
    strict=True,
    ordered=True,
)
"""One row per click with its weight: `implicit.IMPLICIT_COLUMNS`."""
