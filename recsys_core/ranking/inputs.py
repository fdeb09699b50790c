"""What ranking reads of some requests: users, items, candidates; and the features made from them.

Training rows, evaluation and serving build a `RankingInputs` and share everything below it: one path from a history to
the numbers that the ranker sees.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.histories import Histories, histories_of
from recsys_core.features.contract import FEATURE_NAMES
from recsys_core.features.matrix import feature_matrix
from recsys_core.features.pairs import ItemVectors, Proposed, item_side
from recsys_core.features.users import user_features
from recsys_core.retrieval.candidates import Candidates, exact_candidates, find_candidates
from recsys_core.retrieval.encoding import Parts, item_vectors, parts_of, user_vectors
from recsys_core.retrieval.index import ItemIndex
from recsys_core.retrieval.training import FittedTower

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]


BATCH = 256
"""Users whose features are made at once: bounds the memory at 256 x n_candidates vectors."""


@dataclass(frozen=True, kw_only=True)
class RankingInputs:
    """Some requests after retrieval; rows of the item tables and vectors are in the order of item_idx."""

    users: Histories
    user_rows: pl.DataFrame  # user_features
    item_rows: pl.DataFrame  # item_features
    tower: FittedTower
    user_vectors: Float32s  # (n_users, d)
    item_vectors: Float32s  # (n_items, d)
    candidates: Candidates

    def of_users(self, rows: Int64s) -> "RankingInputs":
        """The same for some of the users."""
        return replace(
            self,
            users=self.users.select(rows),
            user_vectors=self.user_vectors[rows],
            candidates=Candidates(item_idx=self.candidates.item_idx[rows], scores=self.candidates.scores[rows]),
        )


def propose(
    tower: FittedTower,
    index: ItemIndex | None,
    known: pl.DataFrame,
    item_rows: pl.DataFrame,
    *,
    user_rows: pl.DataFrame | None = None,
    n_candidates: int,
) -> RankingInputs:
    """Encode users, find their candidates, and gather what their features need.

    Args:
        tower: encodes both sides.
        index: searched where given; otherwise the search is exact.
        known: user_id, item_id, rating, timestamp: all that is known of each user at the request.
        item_rows: `item_features` as of the tower's `fit_end`.
        user_rows: `user_features` of `known`, where they have been computed already.
        n_candidates: how many candidates per user.
    """
    users = histories_of(known, tower.catalogue, known["user_id"].unique().sort().to_numpy())
    asking, offered = user_vectors(tower, users), item_vectors(tower)
    if index is None:
        candidates = exact_candidates(offered, asking, users, n_candidates)
    else:
        candidates = find_candidates(index, asking, users, n_candidates)
    return RankingInputs(
        users=users,
        user_rows=user_features(known, item_rows) if user_rows is None else user_rows,
        item_rows=item_rows,
        tower=tower,
        user_vectors=asking,
        item_vectors=offered,
        candidates=candidates,
    )


def candidate_features(inputs: RankingInputs) -> Float32s:
    """(n_users, n_candidates, n_features): what the ranker reads."""
    parts = parts_of(inputs.tower)
    vectors = ItemVectors(
        trained=inputs.item_vectors[:, parts.trained],
        shown=inputs.tower.closed_form.shown,
        offered=inputs.tower.closed_form.offered,
        following=inputs.tower.covisits.matrix,
        preceding=inputs.tower.covisits.reverse,
    )
    side = item_side(inputs.item_rows, vectors)
    n_users, n_candidates = inputs.candidates.item_idx.shape
    features = np.empty((n_users, n_candidates, len(FEATURE_NAMES)), dtype=np.float32)
    for start in range(0, n_users, BATCH):
        rows = np.arange(start, min(start + BATCH, n_users))
        some = inputs.of_users(rows)
        features[rows] = feature_matrix(some.users, some.user_rows, some.item_rows, side, _proposed(some, parts))
    return features


def _proposed(inputs: RankingInputs, parts: Parts) -> Proposed:
    item_idx = inputs.candidates.item_idx

    def scores_of(part: slice) -> Float32s:
        answers = inputs.item_vectors[:, part][item_idx]  # (n_users, n_candidates, length of the part)
        scores: Float32s = np.einsum("ucr,ur->uc", answers, inputs.user_vectors[:, part])
        return scores

    return Proposed(
        item_idx=item_idx,
        scores=inputs.candidates.scores,
        closed_form_scores=scores_of(parts.closed_form),
        trend_scores=scores_of(parts.trend),
    )
