"""Ranked lists as tables: the common format in which every model, ours or a baseline, is judged."""

import numpy as np
import pandera.polars as pa
import polars as pl

from recsys_core.arrays import Int64s
from recsys_core.data.histories import Catalogue
from recsys_core.evaluation.protocols import Questions
from recsys_core.metrics.relevance import RankedLists, lists_for, refuse_repeats

RANKED_LISTS_COLUMNS: dict[str, pl.DataType] = {
    "model": pl.String(),
    "user_id": pl.Int64(),
    "item_id": pl.Int64(),
    "rank": pl.Int64(),
}

RANKED_LISTS = pa.DataFrameSchema(
    {
        "model": pa.Column(pl.String, description="Who handed in the list."),
        "user_id": pa.Column(pl.Int64, description="For whom."),
        "item_id": pa.Column(pl.Int64, description="What is recommended."),
        "rank": pa.Column(pl.Int64, pa.Check.ge(1), description="The place in the list, from 1."),
    },
    name="ranked_lists",
    strict=True,
    ordered=True,
    unique=["model", "user_id", "item_id"],
)
"""One row per (model, user, item): its place in the user's list, from 1."""


def lists_table(model: str, user_ids: Int64s, item_idx: RankedLists, catalogue: Catalogue) -> pl.DataFrame:
    """RANKED_LISTS of one model.

    It is made for every model, protocol and step, so that repeats are looked for in the arrays: in a table by the
    schema that takes ten times as long.

    Args:
        model: its name in every report.
        user_ids: (n_users,).
        item_idx: (n_users, k), best first, -1 where a list has ended.
        catalogue: translates item_idx to ids.

    Raises:
        DataError: an item stands twice in a list.
    """
    refuse_repeats(item_idx)
    n_users, k = item_idx.shape
    present = (item_idx >= 0).ravel()
    return pl.DataFrame(
        {
            "user_id": np.repeat(user_ids, k)[present],
            "item_id": catalogue.item_ids[item_idx.ravel()[present]],
            "rank": np.tile(np.arange(1, k + 1), n_users)[present],
        }
    ).select(pl.lit(model).alias("model"), pl.all())


def of_window(questions: Questions, table: pl.DataFrame) -> pl.DataFrame:
    """A table with the protocol and the window of some questions in front."""
    return table.select(
        pl.lit(questions.protocol).alias("protocol"), pl.lit(questions.window).alias("window"), pl.all()
    )


def lists_array(table: pl.DataFrame, user_ids: Int64s) -> RankedLists:
    """(n_users, k) item ids of one model's lists, best first; a user without a list gets an empty one (all -1)."""
    listed = table["user_id"].unique().sort().to_numpy()
    array = np.full((len(listed), int(table["rank"].max() or 0)), -1, dtype=np.int64)  # type: ignore[arg-type]
    array[np.searchsorted(listed, table["user_id"].to_numpy()), table["rank"].to_numpy() - 1] = table[
        "item_id"
    ].to_numpy()
    return lists_for(user_ids, listed, array)
