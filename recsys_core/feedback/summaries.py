"""When events arrived, and at which place of a list likes lie: what pictures are drawn from."""

from collections.abc import Mapping

import polars as pl

from recsys_core.days import DAY_S
from recsys_core.feedback.schemas import KINDS

HOUR_S = 3_600
N_HOURS = DAY_S // HOUR_S
MOST_POSITIONS = 20


def arrivals_by_hour(interactions: pl.DataFrame) -> pl.DataFrame:
    """hour, kind, n of one day's INTERACTIONS: every hour (UTC) and every kind, those without events included."""
    hour = (pl.col("received_at") % DAY_S // HOUR_S).alias("hour")
    counted = interactions.group_by(hour, "kind").agg(n=pl.len().cast(pl.Int64))
    every = pl.DataFrame({"hour": range(N_HOURS)}, schema={"hour": pl.Int64}).join(
        pl.DataFrame({"kind": KINDS}), how="cross"
    )
    return every.join(counted, on=["hour", "kind"], how="left", maintain_order="left").fill_null(0)


def arrivals_by_day(days: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """day, kind, n of INTERACTIONS by day of arrival (YYYY-MM-DD): every given day and every kind, days ascending.

    A day that nobody ingested is not there; a day without events has zeros.
    """
    rows = []
    for day, interactions in sorted(days.items()):
        counted = dict(interactions.group_by("kind").len().iter_rows())
        rows += [(day, kind, counted.get(kind, 0)) for kind in KINDS]
    return pl.DataFrame(rows, schema={"day": pl.String, "kind": pl.String, "n": pl.Int64}, orient="row")


def like_share(outcomes: pl.DataFrame) -> float:
    """Share of judged slots that were liked; 0 where none was judged."""
    return float(outcomes["label"].cast(pl.Int64).sum()) / max(outcomes.height, 1)


def likes_by_position(outcomes: pl.DataFrame) -> pl.DataFrame:
    """position, n, share: judged slots at each of the first places, and the share of them that was liked, by place.

    People look at the top first, so the share falls with the place whatever stands there.
    """
    first = outcomes.filter(pl.col("position") <= MOST_POSITIONS)
    counted = first.group_by("position").agg(n=pl.len().cast(pl.Int64), share=pl.col("label").cast(pl.Float64).mean())
    return counted.sort("position")
