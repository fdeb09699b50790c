"""Per-user values -> means with intervals, and paired comparisons between models, by protocol and window."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from recsys_core.evaluation.accuracy import HEADLINE, METRICS
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.metrics.uncertainty import Estimate, bootstrap_means, paired_difference, paired_ratio
from recsys_core.seeding import child

COMPARED = (HEADLINE, "recall@100")
"""Metrics by which models are compared: what the user sees, and what retrieval finds."""


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


def estimate_row(estimate: Estimate) -> dict[str, float | int]:
    """An estimate as columns of a report."""
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "n": estimate.n}
