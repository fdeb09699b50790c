"""What all baselines share: the form of a scorer, what it reads of a history, what it says when it knows nothing."""

from typing import Protocol

import numpy as np
import scipy.sparse as sp

from recsys_core.data.histories import Float32s, Histories
from recsys_core.data.schemas import LIKED
from recsys_core.retrieval.baselines.config import Input

PRIOR_WEIGHT = np.float32(1e-6)
"""Small against every score that a model has evidence for: it decides only where the model is silent."""


class Scorer(Protocol):
    """A fitted model: scores every item for any users, those unknown to the fit and empty histories included."""

    def score(self, histories: Histories) -> Float32s:
        """(n_users, n_items) scores, seen items not yet removed; higher is better."""
        ...


def input_matrix(histories: Histories, kind: Input) -> sp.csr_array:
    """(n_users, n_items) float32: 1 per like ("likes"), 1 per rating ("all"), or rating / 5 ("rating")."""
    if kind == "likes":
        return histories.likes()
    if kind == "all":
        return histories.seen()
    return histories.matrix(histories.ratings / np.float32(5))


def popularity_prior(train: Histories) -> Float32s:
    """(n_items,) in [0, 1): share of the training users who liked each item.

    Added with `PRIOR_WEIGHT` to the scores of personal models. Without it, users with an empty history, or with
    nothing in it that the model reads, would get lists in the order of the tie-break: a needlessly weak baseline.
    """
    liked = train.item_idx[train.ratings >= LIKED]
    return (np.bincount(liked, minlength=train.n_items) / (train.n_users + 1)).astype(np.float32)
