"""What exactly a model was fitted on, in a few characters that two stages can compare."""

import hashlib

import polars as pl

from recsys_core.data.schemas import RATINGS_COLUMNS


def ratings_digest(ratings: pl.DataFrame, clicks: pl.DataFrame | None = None) -> str:
    """Sixteen hex digits over what a model was fitted on, whatever the order of the rows.

    Args:
        ratings: RATINGS columns, one row per user and item.
        clicks: user_id, item_id, timestamp, weight of clicks that went in as well; None and no rows are the same.
    """
    ordered = ratings.select(*RATINGS_COLUMNS).sort("user_id", "item_id")
    digest = hashlib.sha256()
    for column in ordered:
        digest.update(column.to_numpy().tobytes())
    if clicks is not None and clicks.height:
        for column in clicks.select("user_id", "item_id", "timestamp", "weight").sort(pl.all()):
            digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()[:16]
