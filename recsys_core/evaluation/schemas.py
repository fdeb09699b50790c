"""The tables of the evaluation report and of the baselines: columns, bounds, descriptions; `report` makes them."""

import pandera.polars as pa
import polars as pl

from recsys_core.evaluation.accuracy import METRICS
from recsys_core.evaluation.funnel import FATES
from recsys_core.evaluation.protocols import PROTOCOLS, RANKED_LISTS

_SHARE = pa.Check.in_range(0, 1)
_MODEL = pa.Column(pl.String, description="Who handed in the lists: ours, its first stage alone, or a baseline.")
_METRIC = pa.Column(pl.String, description="The metric, at so many places of the list.")
_PROTOCOL = pa.Column(
    pl.String, pa.Check.isin(PROTOCOLS), description="By models of which age users are answered, or newcomers."
)
_WINDOW = pa.Column(pl.String, description="The window that examines, or the pool of windows.")
_USER = pa.Column(pl.Int64, pa.Check.ge(0), description="A user of the window.")
_N_USERS = pa.Column(pl.Int64, pa.Check.ge(0), description="Users behind the mean.")


def _estimate(what: str) -> dict[str, pa.Column]:
    """Mean and interval; NaN where too few users are behind it."""
    return {
        "mean": pa.Column(pl.Float64, nullable=True, description=f"{what}; NaN where too few users are behind it."),
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
        "kind": pa.Column(pl.String, pa.Check.isin(["difference", "ratio"]), description="How they are compared."),
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
        "item_id": pa.Column(pl.Int64, pa.Check.ge(0), description="A liked movie that was to be found."),
        "fate": pa.Column(pl.String, pa.Check.isin(FATES), description="Where it was lost, or that it was found."),
    },
    name="fates",
    strict=True,
    ordered=True,
    unique=["user_id", "item_id"],
)

FUNNEL = pa.DataFrameSchema(
    {
        "fate": pa.Column(pl.String, pa.Check.isin(FATES), unique=True, description="In the order of the stages."),
        "n_targets": pa.Column(pl.Int64, pa.Check.ge(0), description="Held-out likes of this fate."),
        "share": pa.Column(pl.Float64, _SHARE, description="Of all held-out likes."),
    },
    name="funnel",
    strict=True,
    ordered=True,
)

BREADTH = pa.DataFrameSchema(
    {
        "model": _MODEL,
        "metric": pa.Column(pl.String, description="What lies beyond accuracy: coverage, novelty, diversity, ..."),
        "value": pa.Column(pl.Float64, nullable=True, description="Of the places shown; NaN where it is undefined."),
    },
    name="breadth",
    strict=True,
    ordered=True,
    unique=["model", "metric"],
)

USER_SLICES = pa.DataFrameSchema(
    {
        "model": _MODEL,
        "dimension": pa.Column(pl.String, description="What the users are told apart by."),
        "slice": pa.Column(pl.String, description="The part of the users."),
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
        "n": pa.Column(pl.Int64, pa.Check.ge(0), description="Held-out likes of this part."),
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
        "settings": pa.Column(pl.String, description="What was tried, as JSON."),
        "ndcg_at_10": pa.Column(pl.Float64, _SHARE, description="Mean over the users of the development windows."),
        "recall_at_100": pa.Column(pl.Float64, _SHARE, description="Mean over the same users."),
    },
    name="trials",
    strict=True,
    ordered=True,
    unique=["model", "settings"],
)
