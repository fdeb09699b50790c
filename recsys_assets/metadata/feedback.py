"""What is worth seeing of the event log: what arrived when, and what was left out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from recsys_assets.metadata.data import rejected_metadata
from recsys_assets.metadata.pictures import picture, stacked
from recsys_assets.metadata.tables import Lineage, Metadata, table_metadata

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recsys_core.feedback.interactions import DayRead

HEAD_LINEAGE: Lineage = {
    "user_id": ("interactions.user_id",),
    "item_id": ("interactions.item_id",),
    "rating": ("interactions.value",),
    "timestamp": ("interactions.timestamp",),
}


def interactions_metadata(read: "DayRead") -> Metadata:
    """The day's events by hour and kind, and what became of each delivery."""
    from recsys_core.feedback.schemas import INTERACTIONS, REJECTED_EVENTS
    from recsys_core.feedback.summaries import N_HOURS, arrivals_by_hour

    hours = arrivals_by_hour(read.interactions)

    def draw(axes: "Axes") -> None:
        stacked(axes, range(N_HOURS), _by_kind(hours), width=0.8)
        axes.set(xlabel="hour of arrival (UTC)", ylabel="events", xticks=range(0, N_HOURS, 4))

    return {
        **table_metadata(read.interactions, INTERACTIONS, rejected=(read.rejected, REJECTED_EVENTS)),
        **rejected_metadata(read.rejected, read.counts, []),
        "n_users": read.interactions["user_id"].n_unique(),
        "arrivals": picture(draw),
    }


def head_metadata(head: pl.DataFrame, days: Mapping[str, pl.DataFrame]) -> Metadata:
    """The logged ratings, and what arrived on each day."""
    from recsys_core.data.schemas import RATINGS
    from recsys_core.feedback.summaries import arrivals_by_day

    arrived = arrivals_by_day(days)

    def draw(axes: "Axes") -> None:
        stacked(axes, range(len(days)), _by_kind(arrived), width=0.8)
        shown = sorted(days)
        step = -(-len(shown) // 6)
        axes.set(ylabel="events", xlabel="day of arrival (UTC)")
        axes.set_xticks(range(0, len(shown), step), shown[::step])

    picturable = picture(draw) if days else dg.MetadataValue.md("no day has been ingested yet")
    return {
        **table_metadata(head, RATINGS, HEAD_LINEAGE),
        "n_events": int(arrived["n"].sum()),
        "n_users": head["user_id"].n_unique(),
        "arrivals": picturable,
    }


def _by_kind(counted: pl.DataFrame) -> list[tuple[str, list[float]]]:
    return [(str(kind), own["n"].to_list()) for (kind,), own in counted.group_by("kind", maintain_order=True)]
