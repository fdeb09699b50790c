"""Does ranking improve on the order of retrieval? Asked on windows that the ranker had not seen."""

import numpy as np
import polars as pl

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.metrics.ranking import average_precision_at_k, ndcg_at_k
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker


def validate_ranker(ranker: Ranker, examples: RankingExamples, window: str, k: int = 10) -> pl.DataFrame:
    """NDCG and MAP of each user of a window in either order: order, user_id, ndcg, map.

    `order` is 'retrieval' or 'ranking'. Both are end to end: a liked item that is no candidate counts as missed, so a
    perfect ranker stays below 1.

    Args:
        ranker: fitted before the window, unless one wants to see by how much it does better on what it learned from.
        examples: the rows in the order of retrieval, and how much was to be found.
        window: the window.
        k: length of the list.
    """
    rows, n_targets = examples.of_window(window), examples.targets_of(window)
    scored = rows.select("user_id", "label", score=ranker.score(rows.select(FEATURE_NAMES).to_numpy()))
    by_score = scored.sort("user_id", "score", descending=[False, True], maintain_order=True)
    return pl.concat([_per_user("retrieval", scored, n_targets, k), _per_user("ranking", by_score, n_targets, k)])


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
