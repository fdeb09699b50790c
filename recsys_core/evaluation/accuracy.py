"""Accuracy: metrics of every user, means with intervals, and paired comparisons between models."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from recsys_core.arrays import Int64s
from recsys_core.data.splits import relevant_items
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.protocols import lists_array
from recsys_core.metrics import ranking
from recsys_core.metrics.ranked_lists import Hits, PerUser, hits_of
from recsys_core.metrics.uncertainty import Estimate, bootstrap_means, paired_difference, paired_ratio
from recsys_core.seeding import child

Metric = Callable[[Hits, Int64s], PerUser]

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

HEADLINE_METRICS = (HEADLINE, "recall@10", "recall@100", "map@10", "hit@10")
"""The metrics of the README, the headline and the study of seeds."""


COMPARED = (HEADLINE, "recall@100")
"""Metrics by which models are compared: what the user sees, and what retrieval finds."""


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


def summarise(per_user: pl.DataFrame, config: EvaluationConfig) -> pl.DataFrame:
    """protocol, window, model, metric, mean, low, high, n: means with 95 % bootstrap intervals over users.

    Args:
        per_user: protocol, window, then `per_user_metrics`; a user may have a row in several windows of a pool.
        config: draws and seed.
    """
    rows = []
    for (protocol, window), own in per_user.group_by("protocol", "window", maintain_order=True):
        models = own["model"].unique(maintain_order=True).to_list()
        tables = [own.filter(model=model).sort("user_id", maintain_order=True) for model in models]
        values = np.concatenate([table.select(*METRICS).to_numpy() for table in tables], axis=1)
        # The same draws for every model and metric, so that tables of different runs compare.
        estimates = bootstrap_means(
            values, child(config.seed, "bootstrap"), n_draws=config.n_draws, clusters=tables[0]["user_id"].to_numpy()
        )
        names = [(model, metric) for model in models for metric in METRICS]
        rows += [
            {"protocol": protocol, "window": window, "model": model, "metric": metric, **estimate_row(estimate)}
            for (model, metric), estimate in zip(names, estimates, strict=True)
        ]
    return pl.DataFrame(rows)


def compare(per_user: pl.DataFrame, ours: str, metrics: Sequence[str], config: EvaluationConfig) -> pl.DataFrame:
    """Ours against every other model, user by user.

    Returns:
        protocol, window, other, metric, kind ('difference' or 'ratio'), mean, low, high, n.
    """
    rows = []
    for (protocol, window), part in per_user.group_by("protocol", "window", maintain_order=True):
        about = {"protocol": protocol, "window": window}
        for other in part["model"].unique(maintain_order=True):
            if other != ours:
                rows += [about | row for metric in metrics for row in _compared(part, (ours, other), metric, config)]
    return pl.DataFrame(rows)


def estimate_row(estimate: Estimate) -> dict[str, float | int]:
    """An estimate as columns of a report."""
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def _compared(
    per_user: pl.DataFrame, models: tuple[str, str], metric: str, config: EvaluationConfig
) -> list[dict[str, object]]:
    ours, theirs = (per_user.filter(model=model).sort("user_id", maintain_order=True) for model in models)
    rows: list[dict[str, object]] = []
    for kind, function in (("difference", paired_difference), ("ratio", paired_ratio)):
        estimate = function(
            ours[metric].to_numpy(),
            theirs[metric].to_numpy(),
            child(config.seed, "bootstrap"),
            n_draws=config.n_draws,
            clusters=ours["user_id"].to_numpy(),
        )
        rows.append({"other": models[1], "metric": metric, "kind": kind, **estimate_row(estimate)})
    return rows


def _padded(ranked: Int64s, width: int) -> Int64s:
    missing = max(0, width - ranked.shape[1])
    return np.pad(ranked, ((0, 0), (0, missing)), constant_values=-1)[:, :width]
