"""Candidates and a ranker -> the ordered list that a user sees."""

import numpy as np

from recsys_core.arrays import Float32s, Int64s
from recsys_core.ranking.inputs import RankingInputs, candidate_features
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.candidates import Candidates


def rank(ranker: Ranker, inputs: RankingInputs) -> Candidates:
    """The candidates of each user by the ranker's score, best first; equal scores keep the order of retrieval."""
    return rank_by_features(ranker, inputs.candidates, candidate_features(inputs))


def rank_by_features(ranker: Ranker, candidates: Candidates, features: Float32s) -> Candidates:
    """`rank` for who has the features already, (n_users, n_candidates, n_features)."""
    item_idx, scores = candidates.item_idx, np.full_like(candidates.scores, -np.inf)
    present = item_idx >= 0
    scores[present] = ranker.score(features[present])
    order = order_of(scores)
    return Candidates(
        item_idx=np.take_along_axis(item_idx, order, axis=1), scores=np.take_along_axis(scores, order, axis=1)
    )


def order_of(scores: Float32s) -> Int64s:
    """Places of the scores along the last axis, the best first; equal scores keep their order."""
    order: Int64s = np.argsort(-scores, axis=-1, kind="stable")
    return order
