"""Diagnostics of a ranker: gain over retrieval's order, importance of features, learning curve.

All are computed on a window that is not in the ranker's training rows. Boosting keeps every tree, so the ranker of any
earlier round is a prefix of the finished one: the learning curve needs no callback during training.
"""

from dataclasses import replace

import numpy as np
import polars as pl
from scipy.stats import rankdata

from recsys_core.arrays import Float32s
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.metrics.ranking import average_precision_at_k, ndcg_at_k
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.training_rows import RankingExamples
from recsys_core.seeding import child

MOST_ROWS = 20_000
"""Rows to explain: more would take minutes and not change the result."""


N_LOOKS = 10


def validate_ranker(ranker: Ranker, examples: RankingExamples, window: str, k: int = 10) -> pl.DataFrame:
    """NDCG and MAP of each user of a window in either order: order, user_id, ndcg, map.

    `order` is 'retrieval' or 'ranking'. Both are end to end: a liked item that is no candidate counts as missed, so a
    perfect ranker stays below 1.

    Args:
        ranker: fitted before the window; a later one shows the gain on its own training rows.
        examples: the rows in the order of retrieval, and the number of targets.
        window: the window.
        k: length of the list.
    """
    rows, n_targets = examples.of_window(window), examples.targets_of(window)
    scored = rows.select("user_id", "label", score=ranker.score(rows.select(FEATURE_NAMES).to_numpy()))
    by_score = scored.sort("user_id", "score", descending=[False, True], maintain_order=True)
    return pl.concat([_per_user("retrieval", scored, n_targets, k), _per_user("ranking", by_score, n_targets, k)])


def importance(ranker: Ranker, features: Float32s, seed: int = 17) -> pl.DataFrame:
    """The importance of each feature: feature, mean_abs_shap, direction, gain; the strongest first.

    `mean_abs_shap` is the mean of |SHAP value|: the feature's mean contribution to a score, on the scale of the score.
    `direction` is the rank correlation between a feature's value and its SHAP value: near +1 if high values raise the
    score, near -1 if they lower it, near 0 if the effect changes its sign or depends on other features; NaN if either
    is constant. Rows without the value are left out. `gain` is the mean gain of the splits on the training rows, and
    does not say how many rows pass those splits.

    Correlated features share their importance in either measure: a low value does not prove that a feature is useless.

    Args:
        ranker: the ranker to explain.
        features: (n_rows, n_features), not of its training rows, on which SHAP values are larger. Without rows
            everything but the gain is NaN.
        seed: samples `MOST_ROWS` of more rows.

    Source: Lundberg et al. (2020), doi:10.1038/s42256-019-0138-9.
    """
    if len(features) > MOST_ROWS:
        features = features[np.sort(child(seed, "explanations").choice(len(features), MOST_ROWS, replace=False))]
    shap = ranker.contributions(features)[:, :-1]  # (n_rows, n_features), without the base, which is the same for all
    means = np.abs(shap).mean(axis=0, dtype=np.float64) if len(features) else np.full(len(FEATURE_NAMES), np.nan)
    directions = [_rank_correlation(values, moved) for values, moved in zip(features.T, shap.T, strict=True)]
    table = pl.DataFrame({"feature": FEATURE_NAMES, "mean_abs_shap": means, "direction": directions})
    return table.join(ranker.importance(), on="feature").sort("mean_abs_shap", "feature", descending=[True, False])


def learning_curve(ranker: Ranker, examples: RankingExamples) -> pl.DataFrame:
    """round, window, is_new, ndcg: mean NDCG@10 after `round` trees, on a new window and on a training window.

    The training window is the one before. The gap between the two is overfitting plus the change of behaviour over
    time.

    Args:
        ranker: fitted before the last development window.
        examples: its training rows, and that window.
    """
    new = examples.development[-1]
    learned = examples.window_before(new)
    rounds = ranker.booster.num_boosted_rounds()
    looks = np.unique(np.linspace(1, rounds, min(N_LOOKS, rounds)).round().astype(int)).tolist()
    rows = []
    for n_trees in looks:
        then = replace(ranker, booster=ranker.booster[:n_trees])
        for window in (new, learned):
            table = validate_ranker(then, examples, window).filter(order="ranking")
            rows.append((n_trees, window, window == new, float(table["ndcg"].to_numpy().mean())))
    schema = {"round": pl.Int64, "window": pl.String, "is_new": pl.Boolean, "ndcg": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _per_user(order: str, rows: pl.DataFrame, n_targets: pl.DataFrame, k: int) -> pl.DataFrame:
    users = n_targets["user_id"].to_numpy()
    first = (
        rows.group_by("user_id", maintain_order=True).head(k).with_columns(place=pl.int_range(pl.len()).over("user_id"))
    )
    hits = np.zeros((len(users), k), dtype=np.bool_)
    hits[np.searchsorted(users, first["user_id"].to_numpy()), first["place"].to_numpy()] = (
        first["label"].to_numpy() == 1
    )
    relevant = n_targets["n_targets"].to_numpy()
    return pl.DataFrame(
        {"user_id": users, "ndcg": ndcg_at_k(hits, relevant), "map": average_precision_at_k(hits, relevant)}
    ).select(pl.lit(order).alias("order"), pl.all())


def _rank_correlation(values: Float32s, moved: Float32s) -> float:
    """Spearman's, with mean ranks for ties; NaN where either side is constant."""
    there = ~np.isnan(values)
    if not there.any() or np.ptp(values[there]) == 0 or np.ptp(moved[there]) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(values[there]), rankdata(moved[there]))[0, 1])
