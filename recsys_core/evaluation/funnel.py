"""The recall-loss funnel: the stage at which each held-out like was lost.

Each target has exactly one fate, so the shares sum to 1 and say which stage to work on next.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_core.data.histories import Catalogue, Histories
from recsys_core.evaluation.protocols import lists_table
from recsys_core.metrics.ranked_lists import RankedLists

FATES = (
    "not in the catalogue",
    "filtered as seen",
    "missed by the towers",
    "missed by the index",
    "ranked below k",
    "hit",
)
"""In the order in which a target can be lost."""


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The output of each stage, item_idx (n_users, any width) for the users of `users`."""

    users: Histories
    catalogue: Catalogue
    exact: RankedLists  # the towers' candidates by exact search
    found: RankedLists  # the candidates that the index gave
    ranked: RankedLists  # the final order


def fates(stages: Stages, targets: pl.DataFrame, k: int) -> pl.DataFrame:
    """The fate of every target: user_id, item_id, fate."""
    known = pl.DataFrame({"item_id": stages.catalogue.item_ids}).with_columns(known=pl.lit(value=True))
    seen = pl.DataFrame(
        {
            "user_id": stages.users.user_ids[stages.users.rows],
            "item_id": stages.catalogue.item_ids[stages.users.item_idx],
        }
    ).with_columns(seen=pl.lit(value=True))
    traced = targets.select("user_id", "item_id").join(known, on="item_id", how="left", maintain_order="left")
    traced = traced.join(seen, on=["user_id", "item_id"], how="left", maintain_order="left")
    for name, lists in (("exact", stages.exact), ("found", stages.found), ("ranked", stages.ranked)):
        places = lists_table(name, stages.users.user_ids, lists, stages.catalogue)
        found = places.select("user_id", "item_id", pl.col("rank").alias(name))
        traced = traced.join(found, on=["user_id", "item_id"], how="left", maintain_order="left")
    fate = (
        # First of all, so that the hits are those of the recall at k.
        pl.when(pl.col("ranked") <= k).then(pl.lit(FATES[5]))
        .when(pl.col("known").is_null()).then(pl.lit(FATES[0]))
        .when(pl.col("seen").is_not_null()).then(pl.lit(FATES[1]))
        .when(pl.col("found").is_null() & pl.col("exact").is_null()).then(pl.lit(FATES[2]))
        .when(pl.col("found").is_null()).then(pl.lit(FATES[3]))
        .otherwise(pl.lit(FATES[4]))  # also where the final list is so short that it does not hold the item at all
    )  # fmt: skip
    return traced.select("user_id", "item_id", fate=fate)


def funnel(target_fates: pl.DataFrame) -> pl.DataFrame:
    """fate, n_targets, share: every fate in its order, those without targets included."""
    counted = target_fates.group_by("fate").agg(n_targets=pl.len().cast(pl.Int64))
    table = pl.DataFrame({"fate": FATES}).join(counted, on="fate", how="left", maintain_order="left").fill_null(0)
    total = max(target_fates.height, 1)
    return table.with_columns(share=pl.col("n_targets") / np.float64(total))
