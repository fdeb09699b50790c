"""The tables of the evaluation report and of the baselines: columns, bounds, descriptions; `report` makes them."""

import pandera.polars as pa
import polars as pl

from recsys_core.evaluation.accuracy import METRICS
from recsys_core.evaluation.funnel import FATES
from recsys_core.evaluation.protocols import PROTOCOLS, RANKED_LISTS

_SHARE = pa.Check.in_range(0, 1)
_MODEL = pa.Column(pl.String, description="Our system, its first stage alone, or a baseline.")
_METRIC = pa.Column(pl.String, description="The metric and its number of places.")
_PROTOCOL = pa.Column(
    pl.String, pa.Check.isin(PROTOCOLS), description="The age of the models that answer, or newcomers."
)
_WINDOW = pa.Column(pl.String, description="The evaluation window, or the pool of windows.")
_USER = pa.Column(pl.Int64, pa.Check.ge(0), description="A user of the window.")
_N_USERS = pa.Column(pl.Int64, pa.Check.ge(0), description="Users behind the mean.")


def _estimate(what: str) -> dict[str, pa.Column]:
    """Mean and interval; NaN with too few users."""
    return {
        "mean": pa.Column(pl.Float64, nullable=True, description=f"{what}; NaN with too few users."),
        "low": pa.Column(pl.Float64, nullable=True, description="Lower end of its 95 % bootstrap interval over users."),
        "high": pa.Column(pl.Float64, nullable=True, description="Upper end of that interval."),
        "n": _N_USERS,
    }


BASELINE_LISTS = pa.DataFrameSchema(
    {"protocol": _PROTOCOL, "window": _WINDOW, **RANKED_LISTS.columns},
    name="baselines",
    strict=True,
    ordered=True,
    unique=["protocol", "window", "model", "user_id", "item_id"],
)

PER_USER = pa.DataFrameSchema(
    {
        "protocol": _PROTOCOL,
        "window": _WINDOW,
        "model": _MODEL,
        "user_id": _USER,
        "n_targets": pa.Column(pl.Int64, pa.Check.ge(1), description="Held-out likes of the user."),
        **{name: pa.Column(pl.Float64, _SHARE, description=f"{name} of the user's list.") for name in METRICS},
    },
    name="per_user",
    strict=True,
    ordered=True,
    unique=["protocol", "window", "model", "user_id"],
)

SUMMARY = pa.DataFrameSchema(
    {"protocol": _PROTOCOL, "window": _WINDOW, "model": _MODEL, "metric": _METRIC, **_estimate("Mean over all users")},
    name="summary",
    strict=True,
    ordered=True,
    unique=["protocol", "window", "model", "metric"],
)

COMPARISON = pa.DataFrameSchema(
    {
        "protocol": _PROTOCOL,
        "window": _WINDOW,
        "other": pa.Column(pl.String, description="The model that ours is compared with."),
        "metric": _METRIC,
        "kind": pa.Column(
            pl.String, pa.Check.isin(["difference", "ratio"]), description="Difference or ratio of the two means."
        ),
        **_estimate("Ours against the other, paired by user"),
    },
    name="comparison",
    strict=True,
    ordered=True,
    unique=["protocol", "window", "other", "metric", "kind"],
)

FATE_OF_EACH = pa.DataFrameSchema(
    {
        "user_id": _USER,
        "item_id": pa.Column(pl.Int64, pa.Check.ge(0), description="A held-out like."),
        "fate": pa.Column(pl.String, pa.Check.isin(FATES), description="The stage that lost it, or a hit."),
    },
    name="fates",
    strict=True,
    ordered=True,
    unique=["user_id", "item_id"],
)

FUNNEL = pa.DataFrameSchema(
    {
        "fate": pa.Column(
            pl.String, pa.Check.isin(FATES), unique=True, description="The fate, in the order of the stages."
        ),
        "n_targets": pa.Column(pl.Int64, pa.Check.ge(0), description="Held-out likes of this fate."),
        "share": pa.Column(pl.Float64, _SHARE, description="Share of all held-out likes."),
    },
    name="funnel",
    strict=True,
    ordered=True,
)

BREADTH = pa.DataFrameSchema(
    {
        "model": _MODEL,
        "metric": pa.Column(pl.String, description="Coverage, novelty, diversity and others."),
        "value": pa.Column(
            pl.Float64, nullable=True, description="The metric over the first places; NaN where it is undefined."
        ),
    },
    name="breadth",
    strict=True,
    ordered=True,
    unique=["model", "metric"],
)

USER_SLICES = pa.DataFrameSchema(
    {
        "model": _MODEL,
        "dimension": pa.Column(pl.String, description="The criterion that divides the users."),
        "slice": pa.Column(pl.String, description="The segment of the users."),
        "metric": _METRIC,
        **_estimate("Mean over the users of the slice"),
    },
    name="user_slices",
    strict=True,
    ordered=True,
    unique=["model", "dimension", "slice"],
)

ITEM_SLICES = pa.DataFrameSchema(
    {
        "model": _MODEL,
        "slice": pa.Column(
            pl.String,
            description="Head, middle or tail by popularity; 'new': no rating; 'unseen': in no catalogue.",
        ),
        "k": pa.Column(pl.Int64, pa.Check.ge(1), description="Places of the lists that count."),
        "n": pa.Column(pl.Int64, pa.Check.ge(0), description="Held-out likes of this segment."),
        "recall": pa.Column(pl.Float64, _SHARE, description="Share of them in the first places of the lists."),
    },
    name="item_slices",
    strict=True,
    ordered=True,
    unique=["model", "slice", "k"],
)

TRIALS = pa.DataFrameSchema(
    {
        "model": pa.Column(pl.String, description="The baseline."),
        "settings": pa.Column(pl.String, description="The tried settings, as JSON."),
        "ndcg_at_10": pa.Column(pl.Float64, _SHARE, description="Mean over the users of the development windows."),
        "recall_at_100": pa.Column(pl.Float64, _SHARE, description="Mean over the same users."),
    },
    name="trials",
    strict=True,
    ordered=True,
    unique=["model", "settings"],
)
