"""Metadata of the monitoring stage: features replaced by defaults, answers that differ, and drift."""

from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from recsys_assets.metadata.pictures import ACCENT, ALARM, MARKS, SERIES, bars, legend_above, picture
from recsys_assets.metadata.tables import Lineage, Metadata, figures, table_metadata

if TYPE_CHECKING:  # faiss and xgboost would slow the loading of definitions
    from matplotlib.axes import Axes

    from recsys_core.monitoring.drift_window import WindowDrift
    from recsys_core.monitoring.parity import ParityReport
    from recsys_core.monitoring.served import Served

SERVED_LINEAGE: Lineage = {
    "user_id": ("base_ratings.user_id", "interaction_log_head.user_id"),
    "item_id": ("item_features.item_id",),
    "requested_at": ("base_ratings.timestamp", "interaction_log_head.timestamp"),
    "requests.user_id": ("base_ratings.user_id", "interaction_log_head.user_id"),
    "requests.requested_at": ("base_ratings.timestamp", "interaction_log_head.timestamp"),
}

PARITY_LINEAGE: Lineage = {
    "request_id": ("past_requests.request_id",),
    "item_id": ("past_requests.item_id",),
    "logged": ("past_requests.features",),
    "replayed": (
        "base_ratings.rating",
        "base_ratings.timestamp",
        "interaction_log_head.rating",
        "interaction_log_head.clicks.timestamp",
    ),
    "lists.request_id": ("past_requests.request_id",),
    "lists.position": ("past_requests.position",),
    "about.n_late": ("interaction_log_head.received_at", "interaction_log_head.clicks.received_at"),
}

MAX_PICTURED = 12
"""Features in the picture, worst first."""


def served_metadata(served: "Served") -> Metadata:
    """The number of requests and slots, and how often a default replaced a feature."""
    from recsys_core.feedback.schemas import IMPRESSIONS, REQUESTS

    shares = served.degraded_shares()
    return {
        **table_metadata(served.impressions, IMPRESSIONS, SERVED_LINEAGE, requests=(served.requests, REQUESTS)),
        "n_users": served.n_users,
        "missing_share": shares["missing_share"].mean(),
        "stale_share": shares["stale_share"].mean(),
        "feature_states": picture(lambda axes: _draw_states(axes, shares.head(MAX_PICTURED))),
        "degraded": figures(shares),
    }


def parity_metadata(report: "ParityReport") -> Metadata:
    """The columns and lists that differ, if any."""
    from recsys_core.monitoring.schemas import PARITY_ABOUT, PARITY_COLUMNS, PARITY_LISTS

    differing = report.columns.filter(pl.col("n_mismatches") > 0)
    wrong = report.lists.filter(pl.col("n_requests") > 0)
    return {
        **table_metadata(
            report.columns,
            PARITY_COLUMNS,
            PARITY_LINEAGE,
            lists=(report.lists, PARITY_LISTS),
            about=(report.about, PARITY_ABOUT),
        ),
        "n_compared": int(report.columns["n_compared"].sum()),
        "at_fault": figures(differing)
        if differing.height
        else dg.MetadataValue.md("every value is equal, bit for bit"),
        "list_faults": figures(wrong) if wrong.height else dg.MetadataValue.md("every list is equal"),
    }


def drift_metadata(report: "WindowDrift") -> Metadata:
    """How far each column is from the reference, now and over time."""
    from recsys_core.monitoring import schemas

    columns = report.drift.columns.sort("ks", descending=True, nulls_last=True)
    colours = [ALARM if is_drift else ACCENT for is_drift in columns["is_drift"]]
    gaps = bars(
        columns["column"].to_list(),
        columns["ks"].fill_null(0).to_list(),
        "Kolmogorov-Smirnov distance (orange: beyond chance)",
        colours,
    )
    return {
        "verdict": report.verdict(),
        "n_users_seen": int(report.drift.about["n_window_clusters_seen"][0]),
        **table_metadata(
            report.drift.columns,
            schemas.DRIFT_COLUMNS,
            about=(report.drift.about, schemas.DRIFT_ABOUT),
            periods=(report.periods, schemas.DRIFT_PERIODS),
            compared=(report.compared, schemas.DRIFT_COMPARED),
        ),
        "drift": picture(gaps, height=4.6),
        "over_time": picture(
            lambda axes: _draw_over_time(axes, report.periods, columns["column"].head(len(MARKS)).to_list())
        ),
        "columns": figures(columns),
    }


def _draw_states(axes: "Axes", shares: pl.DataFrame) -> None:
    """Most often replaced on top."""
    places, left = range(shares.height, 0, -1), [0.0] * shares.height
    for name, colour in (("missing", ACCENT), ("stale", ALARM)):
        values = shares[f"{name}_share"].to_list()
        axes.barh(places, values, left=left, color=colour, label=name)
        left = [before + value for before, value in zip(left, values, strict=True)]
    axes.set_yticks(places, shares["feature"].to_list(), fontsize=7)
    axes.margins(y=0.01)
    axes.set(xlabel="share of slots in which a default replaced the value", xlim=(0, max(0.01, *left) * 1.05))
    legend_above(axes, n_columns=2)


def _draw_over_time(axes: "Axes", periods: pl.DataFrame, names: list[str]) -> None:
    """The columns that are farthest from the reference now."""
    for colour, mark, name in zip(SERIES, MARKS, names, strict=False):
        own = periods.filter(column=name)
        axes.plot(
            pl.from_epoch(own["period"]).to_list(),
            own["psi"].to_list(),
            label=name,
            marker=mark,
            markersize=4,
            color=colour,
        )
    axes.tick_params(axis="x", labelsize=7, rotation=20)
    axes.set(ylabel="stability index", xlabel="start of the period")
    legend_above(axes, n_columns=2)
