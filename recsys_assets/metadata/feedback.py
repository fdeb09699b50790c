"""Metadata of the feedback stage: which events arrived when, which were rejected, and what came of what was shown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from recsys_assets.metadata.data import fates_of_lines, rejected_metadata
from recsys_assets.metadata.pictures import bars, picture, stacked
from recsys_assets.metadata.tables import Lineage, Metadata, table_metadata

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recsys_core.feedback.interactions import DayRead

MAX_PICTURED = 31
"""Days in a run up to which each day has pictures."""

CLICKED = ("user_id", "item_id", "timestamp", "request_id", "event_id")

HEAD_LINEAGE: Lineage = {
    "user_id": ("interactions.user_id",),
    "item_id": ("interactions.item_id",),
    "rating": ("interactions.value",),
    "timestamp": ("interactions.timestamp",),
    "event_id": ("interactions.event_id",),
    "received_at": ("interactions.received_at",),
    **{f"clicks.{name}": (f"interactions.{name}",) for name in (*CLICKED, "received_at")},
}

OUTCOMES_LINEAGE: Lineage = {
    "label": ("interaction_log_head.rating", "interaction_log_head.timestamp", "interaction_log_head.clicks.timestamp"),
    "event_id": ("interaction_log_head.event_id", "interaction_log_head.clicks.event_id"),
}

IMPLICIT_LINEAGE: Lineage = {
    **{name: (f"interaction_log_head.clicks.{name}",) for name in CLICKED},
    "position": ("impression_outcomes.position",),
    "weight": ("impression_outcomes.position",),
}


def interactions_metadata(read: "DayRead", n_days: int) -> Metadata:
    """The events of a day by hour and kind, and what became of each delivery.

    Args:
        read: the day.
        n_days: number of days in the run. Drawing takes longer than reading, so beyond MAX_PICTURED days there are only
            numbers; the head of the log shows all days in one picture.
    """
    from recsys_core.feedback.interactions import N_HOURS, arrivals_by_hour
    from recsys_core.feedback.schemas import INTERACTIONS, REJECTED_EVENTS

    hours = arrivals_by_hour(read.interactions)

    def draw(axes: "Axes") -> None:
        stacked(axes, range(N_HOURS), _by_kind(hours), width=0.8)
        axes.set(xlabel="hour of arrival (UTC)", ylabel="events", xticks=range(0, N_HOURS, 4))

    has_pictures = n_days <= MAX_PICTURED
    return {
        **table_metadata(read.interactions, INTERACTIONS, rejected=(read.rejected, REJECTED_EVENTS)),
        **rejected_metadata(read.rejected, []),
        "n_users": read.interactions["user_id"].n_unique(),
        **({"fates_of_lines": fates_of_lines(read.counts), "arrivals": picture(draw)} if has_pictures else {}),
    }


def head_metadata(head: pl.DataFrame, clicks: pl.DataFrame, days: Mapping[str, pl.DataFrame]) -> Metadata:
    """The logged ratings and clicks, and the number of events by day of arrival."""
    from recsys_core.feedback.interactions import arrivals_by_day
    from recsys_core.feedback.schemas import CLICKS, LOGGED

    arrived = arrivals_by_day(days)

    def draw(axes: "Axes") -> None:
        stacked(axes, range(len(days)), _by_kind(arrived), width=0.8)
        names = sorted(days)
        step = -(-len(names) // 6)
        axes.set(ylabel="events", xlabel="day of arrival (UTC)")
        axes.set_xticks(range(0, len(names), step), names[::step])

    picturable = picture(draw) if days else dg.MetadataValue.md("no day has been ingested yet")
    return {
        **table_metadata(head, LOGGED, HEAD_LINEAGE, clicks=(clicks, CLICKS)),
        "n_events": int(arrived["n"].sum()),
        "n_users": head["user_id"].n_unique(),
        "arrivals": picturable,
    }


def outcomes_metadata(table: pl.DataFrame) -> Metadata:
    """The share of shown movies that users liked, by position in the list."""
    from recsys_core.feedback.labels import like_share, likes_by_position
    from recsys_core.feedback.schemas import OUTCOMES

    places = likes_by_position(table)
    drawn = bars(
        [str(position) for position in places["position"]],
        places["share"].to_list(),
        "share liked, by position in the list",
        texts=[f"of {n:,}" for n in places["n"]],
    )
    return {
        **table_metadata(table, OUTCOMES, OUTCOMES_LINEAGE),
        "n_requests": table["request_id"].n_unique(),
        "like_share": like_share(table),
        "likes_by_position": picture(drawn) if places.height else dg.MetadataValue.md("nothing can be judged yet"),
    }


def implicit_metadata(table: pl.DataFrame) -> Metadata:
    """The clicks, and their total weight."""
    from recsys_core.feedback.schemas import IMPLICIT

    return {
        **table_metadata(table, IMPLICIT, IMPLICIT_LINEAGE),
        "n_users": table["user_id"].n_unique(),
        "total_weight": float(table["weight"].sum()),
    }


def _by_kind(counted: pl.DataFrame) -> list[tuple[str, list[float]]]:
    return [(str(kind), own["n"].to_list()) for (kind,), own in counted.group_by("kind", maintain_order=True)]
