"""Shown slots -> what came of them: the lessons that only a log can give.

A slot that was shown and left alone is a negative of a kind that ratings have not: the user saw the item, or could
have. It is known to be one only when the time for an answer is over; until then nothing is said of it.
"""

import polars as pl

from recsys_core.data.schemas import LIKED
from recsys_core.feedback.config import OutcomesConfig
from recsys_core.feedback.derived import KEPT, OUTCOMES
from recsys_core.feedback.schemas import IMPRESSIONS_COLUMNS

OUTCOMES_COLUMNS: dict[str, pl.DataType] = {
    **{name: IMPRESSIONS_COLUMNS[name] for name in KEPT},
    "shown_at": pl.Int64(),
    "settled_at": pl.Int64(),
    "label": pl.Int8(),
    "event_id": pl.String(),
}

DEFAULT = OutcomesConfig()


def outcomes(
    impressions: pl.DataFrame, clicks: pl.DataFrame, ratings: pl.DataFrame, config: OutcomesConfig = DEFAULT
) -> pl.DataFrame:
    """What came of each shown slot within the time for an answer.

    Label 1: the item was clicked after this request, or rated a like by its user, and not rated below. Label 0:
    neither; or clicked, and rated below a like, since a click is a hope and a rating is a verdict.

    Args:
        impressions: IMPRESSIONS, of days for which every answer has arrived.
        clicks: CLICKS_COLUMNS of all ingested days.
        ratings: LOGGED_COLUMNS of all ingested days.
        config: how long an answer may take.

    Returns:
        OUTCOMES_COLUMNS, sorted by request_id and position: `shown_at` and `settled_at`, the first second in which
        nothing can change the label any more, in seconds; `event_id`, the rating or else the click that made the label,
        null where there was none.
    """
    shown = impressions.with_row_index("slot").with_columns(shown_at=pl.col("served_at") // 1_000_000)
    shown = shown.with_columns(settled_at=pl.col("shown_at") + config.answer_s)
    clicked = _first_answer(shown, clicks, ["request_id", "item_id"]).select("slot", clicked="event_id")
    rated = _first_answer(shown, ratings, ["user_id", "item_id"]).select("slot", "rating", rated="event_id")
    judged = shown.join(clicked, on="slot", how="left").join(rated, on="slot", how="left")
    liked = pl.coalesce(pl.col("rating") >= LIKED, pl.col("clicked").is_not_null())
    labelled = judged.with_columns(label=liked.cast(pl.Int8), event_id=pl.coalesce("rated", "clicked"))
    return OUTCOMES.validate(labelled.select(*OUTCOMES_COLUMNS).sort("request_id", "position"))


def _first_answer(shown: pl.DataFrame, answers: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """Slot and the answer's columns: the first answer to each slot within its time; none of a key that is null."""
    own = shown.select("slot", "shown_at", "settled_at", *on)
    within = pl.col("timestamp").is_between("shown_at", "settled_at", closed="left")
    met = own.join(answers, on=on, how="inner").filter(within)
    return met.sort("slot", "timestamp", "event_id").unique("slot", keep="first", maintain_order=True)
