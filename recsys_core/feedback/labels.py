"""Training data from the log: logged ratings and clicks, labels of impressions, weights of clicks.

An impression without a click or a rating is a negative, which ratings alone do not provide: the user saw the item, or
could have. Its label is known only when the time for an answer is over; until then it has no row.
"""

from collections.abc import Mapping

import polars as pl

from recsys_core.data.schemas import LIKED
from recsys_core.feedback.config import ImplicitConfig, OutcomesConfig
from recsys_core.feedback.schemas import (
    CLICKS,
    CLICKS_COLUMNS,
    IMPLICIT_COLUMNS,
    INTERACTIONS_COLUMNS,
    LOGGED,
    LOGGED_COLUMNS,
    OUTCOMES,
    OUTCOMES_COLUMNS,
)

DEFAULT_OUTCOMES = OutcomesConfig()
DEFAULT_IMPLICIT = ImplicitConfig()

MOST_POSITIONS = 20
"""Last position of `likes_by_position`."""


def logged_ratings(days: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """LOGGED of every logged rating, sorted by timestamp, user_id, item_id, rating; a pair may appear twice.

    Args:
        days: INTERACTIONS by day of arrival; may be empty.
    """
    rated = _of_kind(days, "rating").rename({"value": "rating"})
    return LOGGED.validate(rated.select(*LOGGED_COLUMNS).sort("timestamp", "user_id", "item_id", "rating", "event_id"))


def logged_clicks(days: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """CLICKS of every click, sorted by timestamp, user_id, item_id, event_id; a pair may appear twice.

    Args:
        days: INTERACTIONS by day of arrival; may be empty.
    """
    clicked = _of_kind(days, "click").select(*CLICKS_COLUMNS)
    return CLICKS.validate(clicked.sort("timestamp", "user_id", "item_id", "event_id"))


def _of_kind(days: Mapping[str, pl.DataFrame], kind: str) -> pl.DataFrame:
    tables = [pl.DataFrame(schema=INTERACTIONS_COLUMNS), *days.values()]
    # While one day is ingested again and another is not yet, both may hold an event: its first arrival counts.
    arrived = pl.concat(tables).sort("received_at", maintain_order=True)
    return arrived.unique("event_id", keep="first", maintain_order=True).filter(kind=kind)


def outcomes(
    impressions: pl.DataFrame, clicks: pl.DataFrame, ratings: pl.DataFrame, config: OutcomesConfig = DEFAULT_OUTCOMES
) -> pl.DataFrame:
    """The label of each impression, from the events within the time for an answer.

    Label 1: the item was clicked after this request, or its user rated it a like, and not below. Label 0: neither; or
    clicked, and rated below a like: a rating is stronger evidence than a click.

    Args:
        impressions: IMPRESSIONS, of days for which every answer has arrived.
        clicks: CLICKS_COLUMNS of all ingested days.
        ratings: LOGGED_COLUMNS of all ingested days.
        config: how long an answer may take.

    Returns:
        OUTCOMES_COLUMNS, sorted by request_id and position: `shown_at` and `settled_at` in seconds, the latter the
        first second in which the label can no longer change; `event_id`, the rating or else the click that made the
        label, null without one.
    """
    slots = impressions.with_row_index("slot").with_columns(shown_at=pl.col("served_at") // 1_000_000)
    slots = slots.with_columns(settled_at=pl.col("shown_at") + config.answer_s)
    clicked = _first_answer(slots, clicks, ["request_id", "item_id"]).select("slot", clicked="event_id")
    rated = _first_answer(slots, ratings, ["user_id", "item_id"]).select("slot", "rating", rated="event_id")
    judged = slots.join(clicked, on="slot", how="left").join(rated, on="slot", how="left")
    liked = pl.coalesce(pl.col("rating") >= LIKED, pl.col("clicked").is_not_null())
    labelled = judged.with_columns(label=liked.cast(pl.Int8), event_id=pl.coalesce("rated", "clicked"))
    return OUTCOMES.validate(labelled.select(*OUTCOMES_COLUMNS).sort("request_id", "position"))


def _first_answer(slots: pl.DataFrame, answers: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """Slot and the answer's columns: the first answer to each slot within its time; none where a key is null."""
    own = slots.select("slot", "shown_at", "settled_at", *on)
    within = pl.col("timestamp").is_between("shown_at", "settled_at", closed="left")
    met = own.join(answers, on=on, how="inner").filter(within)
    return met.sort("slot", "timestamp", "event_id").unique("slot", keep="first", maintain_order=True)


def implicit_feedback(
    clicks: pl.DataFrame, impressions: pl.DataFrame, config: ImplicitConfig = DEFAULT_IMPLICIT
) -> pl.DataFrame:
    """Every click with its weight as a target of the towers; a like has weight 1.

    With a position exponent e above 0, a click at position k counts for k^e clicks, because fewer people look that far:
    examination is assumed to fall as k^-e (the position-based model; Joachims et al. 2017,
    doi:10.1145/3018661.3018699). A click whose position is unknown, or that followed no request of ours, counts once.
    Where a request shows an item at several places, the first place counts.

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
        ratings: user_id, item_id, as far as they may be known; a rating is stronger evidence than any click.
    """
    unrated = feedback.join(ratings, on=["user_id", "item_id"], how="anti", maintain_order="left")
    return unrated.unique(["user_id", "item_id"], keep="last", maintain_order=True)


def like_share(outcomes: pl.DataFrame) -> float:
    """Share of labelled impressions that were liked; 0 without any."""
    return float(outcomes["label"].cast(pl.Int64).sum()) / max(outcomes.height, 1)


def likes_by_position(outcomes: pl.DataFrame) -> pl.DataFrame:
    """position, n, share: labelled impressions at each of the first positions, and the share of them that was liked.

    Users look at the top first, so the share falls with the position, whatever item is there.
    """
    first = outcomes.filter(pl.col("position") <= MOST_POSITIONS)
    counted = first.group_by("position").agg(n=pl.len().cast(pl.Int64), share=pl.col("label").cast(pl.Float64).mean())
    return counted.sort("position")
