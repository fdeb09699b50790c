"""From a scorer to lists: seen items removed, ties broken as everywhere."""

import numpy as np

from recsys_core.data.histories import Histories
from recsys_core.metrics.ordering import TieBreak, tie_break_order, top_k
from recsys_core.metrics.relevance import RankedLists
from recsys_core.retrieval.baselines.scorer import Scorer


def recommend(
    scorer: Scorer, histories: Histories, k: int, *, batch: int = 512, tie_break: TieBreak | None = None
) -> RankedLists:
    """The k best items of each user that are not in the user's history.

    Args:
        scorer: a fitted model.
        histories: what each user is known to have rated; liked or not, it is never recommended again.
        k: length of the lists.
        batch: users scored at once: batch x n_items floats; it does not change the lists.
        tie_break: order of items with equal scores. Default: hashed row numbers; pass the hash of the outside ids
            (`tie_break_order(catalogue.item_ids)`) to compare lists across catalogues.

    Returns:
        (n_users, k) item numbers, best first; -1 where fewer than k items remain.
    """
    if tie_break is None:
        tie_break = tie_break_order(np.arange(histories.n_items))
    ranked = np.full((histories.n_users, k), -1, dtype=np.int64)
    for start in range(0, histories.n_users, batch):
        users = np.arange(start, min(start + batch, histories.n_users))
        chosen = histories.select(users)
        scores = scorer.score(chosen)
        scores[chosen.rows, chosen.item_idx] = -np.inf
        ranked[users] = top_k(scores, k, tie_break)
    return ranked
