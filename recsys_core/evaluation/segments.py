"""Metrics per segment of users and of items: a good mean can hide users whom the system serves badly.

The stored tables and settings call a segment a slice.
"""

import numpy as np
import polars as pl

from recsys_core.data.histories import Histories
from recsys_core.evaluation.accuracy import estimate_row
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.metrics.uncertainty import bootstrap_mean
from recsys_core.seeding import child

ACTIVITY_BANDS = ((0, 20, "1-19 ratings"), (20, 100, "20-99 ratings"), (100, None, "100 ratings and more"))
"""Known ratings at the request. The bands are fixed, so that segments of different runs hold similar users."""

POPULARITY_BANDS = ((0.0, 0.5, "head"), (0.5, 0.8, "middle"), (0.8, 1.01, "tail"))
"""Items by popularity, cut where the running share of all ratings passes these bounds: half of all ratings are of the
head."""


def user_segments(users: Histories, trained_users: pl.Series) -> pl.DataFrame:
    """user_id, dimension, slice: each user in one segment of each dimension.

    Args:
        users: the known ratings of the evaluated users at the request.
        trained_users: ids of users who had ratings when the model was fitted; all others are new.
    """
    lengths = pl.DataFrame({"user_id": users.user_ids, "n": users.lengths})
    band = pl.lit(ACTIVITY_BANDS[-1][2])
    for _, high, name in reversed(ACTIVITY_BANDS[:-1]):
        band = pl.when(pl.col("n") < high).then(pl.lit(name)).otherwise(band)
    is_known = pl.col("user_id").is_in(trained_users.unique().to_list())
    return pl.concat(
        [
            lengths.select("user_id", dimension=pl.lit("activity"), slice=band),
            lengths.select(
                "user_id",
                dimension=pl.lit("user"),
                slice=pl.when(is_known).then(pl.lit("known when fitted")).otherwise(pl.lit("new since")),
            ),
        ]
    )


def item_bands(items: pl.DataFrame) -> pl.DataFrame:
    """item_id, slice: head, middle or tail by the running share of ratings, most popular first; new without any."""
    ordered = items.sort("n_ratings", "item_id", descending=[True, False])
    before = pl.col("n_ratings").cum_sum() - pl.col("n_ratings")
    band = pl.lit(POPULARITY_BANDS[-1][2])
    for _, high, name in reversed(POPULARITY_BANDS[:-1]):
        # Counts, not shares: rounding may put a share of exactly one half slightly below it.
        band = pl.when(before < high * pl.col("n_ratings").sum()).then(pl.lit(name)).otherwise(band)
    is_new = pl.col("n_ratings") == 0
    return ordered.select("item_id", slice=pl.when(is_new).then(pl.lit("new")).otherwise(band))


def metric_by_segment(
    per_user: pl.DataFrame, slices: pl.DataFrame, metric: str, config: EvaluationConfig
) -> pl.DataFrame:
    """model, dimension, slice, metric, mean, low, high, n (values); the figures are NaN with too few users.

    A user may be in several windows, and counts as one user.

    Args:
        per_user: window, then `per_user_metrics`.
        slices: window, user_id, dimension, slice.
        metric: the metric.
        config: draws, seed, and the fewest users of a segment.
    """
    keys = ["window", "user_id"]
    joined = per_user.join(slices, on=keys, maintain_order="left")  # the draws depend on the order of the users
    rows = []
    for (model, dimension, name), part in joined.group_by("model", "dimension", "slice", maintain_order=True):
        values = part[metric].to_numpy()
        if part["user_id"].n_unique() < config.n_slice_users:
            values = np.full(len(values), np.nan)
        estimate = bootstrap_mean(
            values, child(config.seed, "bootstrap"), n_draws=config.n_draws, clusters=part["user_id"].to_numpy()
        )
        about = {"model": model, "dimension": dimension, "slice": name, "metric": metric}
        rows.append(about | estimate_row(estimate) | {"n": part.height})
    return pl.DataFrame(rows).sort("model", "dimension", "slice")


def banded(targets: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The targets with the band of their item.

    Items in the band 'new' had no rating when the models were fitted: no model of ratings alone can list them. Items
    outside the catalogue form a band of their own, 'unseen', which no model can list.

    Args:
        targets: user_id and item_id among its columns.
        items: `item_features` of the slice that asked for them.
    """
    bands = targets.join(item_bands(items), on="item_id", how="left", maintain_order="left")
    return bands.with_columns(pl.col("slice").fill_null("unseen"))


def recall_by_item_band(lists: pl.DataFrame, targets: pl.DataFrame, ks: tuple[int, ...]) -> pl.DataFrame:
    """model, slice, k, n (targets), recall: the share of the targets of each band that the first k places hold.

    Args:
        lists: window, then RANKED_LISTS.
        targets: window, user_id, item_id, slice, as `banded` gives them.
        ks: numbers of places.
    """
    keys = ["window", "user_id", "item_id"]
    wanted = targets.select(*keys, "slice")
    tables = []
    for (model,), own in lists.group_by("model", maintain_order=True):
        ranked = wanted.join(own.select(*keys, "rank"), on=keys, how="left")
        for k in ks:
            is_hit = (pl.col("rank") <= k).fill_null(value=False)
            table = ranked.group_by("slice").agg(n=pl.len().cast(pl.Int64), recall=is_hit.mean()).sort("slice")
            about = pl.lit(str(model)).alias("model"), "slice", pl.lit(k, pl.Int64).alias("k")
            tables.append(table.select(*about, "n", "recall"))
    return pl.concat(tables)
