"""Candidates and a ranker -> the ordered list that a user sees."""

import numpy as np

from recsys_core.ranking.inputs import RankingInputs, candidate_features
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.candidates import Candidates


def rank(ranker: Ranker, inputs: RankingInputs) -> Candidates:
    """The candidates of each user by the ranker's score, best first; equal scores keep the order of retrieval."""
    item_idx, scores = inputs.candidates.item_idx, np.full_like(inputs.candidates.scores, -np.inf)
    features = candidate_features(inputs)
    present = item_idx >= 0
    scores[present] = ranker.score(features[present])
    order = np.argsort(-scores, axis=1, kind="stable")
    return Candidates(
        item_idx=np.take_along_axis(item_idx, order, axis=1), scores=np.take_along_axis(scores, order, axis=1)
    )
