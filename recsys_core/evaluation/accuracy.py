"""Ranked lists and targets -> every accuracy metric of every user."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.splits import relevant_items
from recsys_core.evaluation.lists import lists_array
from recsys_core.metrics import ranking
from recsys_core.metrics.relevance import Counts, Hits, PerUser, hits_of

Int64s = npt.NDArray[np.int64]
Metric = Callable[[Hits, Counts], PerUser]

MAP: Metric = ranking.average_precision_at_k

METRICS: dict[str, tuple[Metric, int]] = {
    "recall@10": (ranking.recall_at_k, 10),
    "recall@20": (ranking.recall_at_k, 20),
    "recall@50": (ranking.recall_at_k, 50),
    "recall@100": (ranking.recall_at_k, 100),
    "recall@200": (ranking.recall_at_k, 200),
    "ndcg@10": (ranking.ndcg_at_k, 10),
    "ndcg@20": (ranking.ndcg_at_k, 20),
    "ndcg@100": (ranking.ndcg_at_k, 100),
    "map@10": (MAP, 10),
    "mrr@10": (ranking.reciprocal_rank_at_k, 10),
    "hit@10": (ranking.hit_rate_at_k, 10),
}
"""Every reported metric, always over the full catalogue: a metric over sampled negatives would be another name."""

HEADLINE = "ndcg@10"
"""The metric of every gate and comparison."""


def per_user_metrics(lists: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """One row per (model, user with targets): model, user_id, n_targets, then METRICS.

    Args:
        lists: RANKED_LISTS; a user whom a model does not list scores 0 with it.
        targets: user_id, item_id: every target of every eligible user.
    """
    user_ids = targets["user_id"].unique().sort().to_numpy()
    relevant = relevant_items(targets, user_ids)
    width = max(k for _, k in METRICS.values())
    tables = []
    for (model,), own in lists.group_by("model", maintain_order=True):
        hits = hits_of(_padded(lists_array(own, user_ids), width), relevant)
        values = {name: metric(hits[:, :k], relevant.counts) for name, (metric, k) in METRICS.items()}
        about = {"model": np.full(len(user_ids), str(model)), "user_id": user_ids, "n_targets": relevant.counts}
        tables.append(pl.DataFrame(about | values, schema_overrides={"model": pl.String}))
    return pl.concat(tables)


def _padded(ranked: Int64s, width: int) -> Int64s:
    missing = max(0, width - ranked.shape[1])
    return np.pad(ranked, ((0, 0), (0, missing)), constant_values=-1)[:, :width]
