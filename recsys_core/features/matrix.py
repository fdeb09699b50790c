"""Items, users and pairs -> the float32 matrix that the ranker reads, columns in the order of the contract."""

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.histories import Histories
from recsys_core.features.contract import FEATURE_NAMES, names_of
from recsys_core.features.pairs import ItemSide, Proposed, pair_features

Float32s = npt.NDArray[np.float32]


def feature_matrix(
    users: Histories,
    user_rows: pl.DataFrame,
    item_rows: pl.DataFrame,
    side: ItemSide,
    proposed: Proposed,
) -> Float32s:
    """(n_users, n_candidates, n_features) features; NaN where undefined or where there is no candidate.

    Args:
        users: histories before the request, one row per user.
        user_rows: `user_features`; a user that it lacks gets NaN, but an empty history counts 0 ratings.
        item_rows: `item_features`, in the order of item_idx.
        side: what pair features read of the items.
        proposed: the candidates and their scores.
    """
    item_idx = proposed.item_idx
    by_user = _user_values(users, user_rows)
    values = pair_features(users, proposed, side, by_user["user_mean_liked_year"])
    for name in names_of("item"):
        values[name] = item_rows[name].fill_null(float("nan")).to_numpy()[item_idx]
    for name, column in by_user.items():
        values[name] = np.broadcast_to(column[:, None], item_idx.shape)
    matrix = np.stack([values[name] for name in FEATURE_NAMES], axis=2).astype(np.float32)
    matrix[item_idx < 0] = np.nan
    return matrix


def _user_values(users: Histories, user_rows: pl.DataFrame) -> dict[str, Float32s]:
    """Each user feature as (n_users,), in the order of the histories."""
    asked = pl.DataFrame({"user_id": users.user_ids, "is_empty": users.lengths == 0})
    wanted = asked.join(user_rows, on="user_id", how="left", maintain_order="left")
    # Nothing rated is a known number of ratings; a history without its row is a fault of the tables, hence unknown.
    n_ratings = pl.when(pl.col("user_n_ratings").is_null() & pl.col("is_empty")).then(0).otherwise("user_n_ratings")
    wanted = wanted.with_columns(user_n_ratings=n_ratings.cast(pl.Float32))
    return {name: wanted[name].fill_null(float("nan")).to_numpy() for name in names_of("user")}
