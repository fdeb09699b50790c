"""Per-user values -> means with intervals, and paired comparisons between models."""

import numpy as np
import polars as pl

from recsys_core.evaluation.accuracy import METRICS
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.metrics.uncertainty import Estimate, bootstrap_mean, paired_difference, paired_ratio
from recsys_core.seeding import child


def summarise(per_user: pl.DataFrame, config: EvaluationConfig) -> pl.DataFrame:
    """model, metric, mean, low, high, n: the mean over all eligible users with its 95 % bootstrap interval."""
    rows = []
    for (model,), own in per_user.group_by("model", maintain_order=True):
        for metric in METRICS:
            # The same draws for every model and metric, so that tables of different runs compare.
            rng = child(config.seed, "bootstrap")
            estimate = bootstrap_mean(own[metric].to_numpy(), rng, n_draws=config.n_draws)
            rows.append({"model": model, "metric": metric, **estimate_row(estimate)})
    return pl.DataFrame(rows)


def compare(per_user: pl.DataFrame, ours: str, metric: str, config: EvaluationConfig) -> pl.DataFrame:
    """Ours against every other model, user by user: other, kind ('difference' or 'ratio'), mean, low, high, n."""
    own = _values(per_user, ours, metric)
    rows = []
    for other in per_user["model"].unique(maintain_order=True):
        if other == ours:
            continue
        theirs = _values(per_user, other, metric)
        for kind, function in (("difference", paired_difference), ("ratio", paired_ratio)):
            estimate = function(own, theirs, child(config.seed, "bootstrap"), n_draws=config.n_draws)
            rows.append({"other": other, "metric": metric, "kind": kind, **estimate_row(estimate)})
    return pl.DataFrame(rows)


def estimate_row(estimate: Estimate) -> dict[str, float | int]:
    """An estimate as columns of a report."""
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def _values(per_user: pl.DataFrame, model: str, metric: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return per_user.filter(model=model).sort("user_id")[metric].to_numpy()
