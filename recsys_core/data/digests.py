"""What exactly a model was fitted on, in a few characters that two stages can compare."""

import hashlib

import polars as pl

from recsys_core.data.schemas import RATINGS_COLUMNS


def ratings_digest(ratings: pl.DataFrame) -> str:
    """Sixteen hex digits over a set of ratings, whatever the order of the rows: what exactly a model was fitted on."""
    ordered = ratings.select(*RATINGS_COLUMNS).sort("user_id", "item_id")
    digest = hashlib.sha256()
    for column in ordered:
        digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()[:16]
