"""Parts shared by all baselines: the interface of a scorer, its lists, its input, and its prior for empty histories."""

from typing import Protocol

import numpy as np
import scipy.sparse as sp

from recsys_core.arrays import Float32s
from recsys_core.data.histories import Histories
from recsys_core.data.schemas import LIKED
from recsys_core.evaluation.baselines.config import Input
from recsys_core.metrics.ranked_lists import RankedLists, TieBreak, tie_break_order, top_k

PRIOR_WEIGHT = np.float32(1e-6)
"""Small compared with any score that a model has evidence for, so that it decides only without evidence."""


class Scorer(Protocol):
    """A fitted model: scores every item for any users, those unknown to the fit and empty histories included."""

    def score(self, histories: Histories) -> Float32s:
        """(n_users, n_items) scores, seen items not yet removed; higher is better."""
        ...


def recommend(
    scorer: Scorer, histories: Histories, k: int, *, batch: int = 512, tie_break: TieBreak | None = None
) -> RankedLists:
    """The k best items of each user that are not in the user's history.

    Args:
        scorer: a fitted model.
        histories: known ratings of each user; a rated item, liked or not, is never recommended.
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


def input_matrix(histories: Histories, kind: Input) -> sp.csr_array:
    """(n_users, n_items) float32: 1 per like ("likes"), 1 per rating ("all"), or rating / 5 ("rating")."""
    if kind == "likes":
        return histories.likes()
    if kind == "all":
        return histories.seen()
    return histories.matrix(histories.ratings / np.float32(5))


def popularity_prior(train: Histories) -> Float32s:
    """(n_items,) in [0, 1): share of the training users who liked each item.

    It is added with `PRIOR_WEIGHT` to the scores of personal models. Without it, users whose history is empty, or holds
    nothing that the model reads, would get lists in the order of the tie-break: a needlessly weak baseline.
    """
    liked = train.item_idx[train.ratings >= LIKED]
    return (np.bincount(liked, minlength=train.n_items) / (train.n_users + 1)).astype(np.float32)
