"""Clicks -> weak likes: what users opened, for as long as they have not said what they think of it."""

import polars as pl

from recsys_core.feedback.config import ImplicitConfig
from recsys_core.feedback.head import CLICKS_COLUMNS

IMPLICIT_COLUMNS: dict[str, pl.DataType] = {
    **{name: dtype for name, dtype in CLICKS_COLUMNS.items() if name != "received_at"},
    "position": pl.Int64(),
    "weight": pl.Float32(),
}

DEFAULT = ImplicitConfig()


def implicit_feedback(
    clicks: pl.DataFrame, impressions: pl.DataFrame, config: ImplicitConfig = DEFAULT
) -> pl.DataFrame:
    """Every click with the weight that it has as a target of the towers, beside 1 for a like.

    With a position exponent e above 0, a click at position k counts for k^e clicks, because fewer people look that far:
    examination is taken to fall as k^-e (the position-based model; Joachims et al. 2017, doi:10.1145/3018661.3018699).
    A click whose position is unknown, or which followed no request of ours, counts once. Of an item that a request
    shows at several places, the first is taken.

    Args:
        clicks: CLICKS_COLUMNS.
        impressions: request_id, item_id, position of shown slots.
        config: the weight, and the correction for position.

    Returns:
        IMPLICIT_COLUMNS, in the order of the clicks; `position` is null where it is unknown.
    """
    places = impressions.group_by("request_id", "item_id").agg(pl.col("position").min())
    placed = clicks.join(places, on=["request_id", "item_id"], how="left", maintain_order="left")
    times = pl.min_horizontal(pl.col("position").fill_null(1) ** config.position_exponent, pl.lit(config.most_clicks))
    return placed.with_columns(weight=config.click_weight * times.cast(pl.Float32)).select(
        pl.col(name).cast(dtype) for name, dtype in IMPLICIT_COLUMNS.items()
    )


def still_implicit(feedback: pl.DataFrame, ratings: pl.DataFrame) -> pl.DataFrame:
    """One click of each (user, item) that the user has not rated: the latest.

    Args:
        feedback: IMPLICIT_COLUMNS, as far as they may be known.
        ratings: user_id, item_id, as far as they may be known: a rating says more than any click.
    """
    unrated = feedback.join(ratings, on=["user_id", "item_id"], how="anti", maintain_order="left")
    return unrated.unique(["user_id", "item_id"], keep="last", maintain_order=True)
