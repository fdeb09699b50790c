"""What ranking reads of some requests: users, items, candidates; and the features made from them.

Training rows, evaluation and serving build a `RankingInputs` and share everything below it: one path from a history to
the numbers that the ranker sees.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.histories import Histories, histories_of
from recsys_core.features.matrix import feature_matrix
from recsys_core.features.pairs import item_side
from recsys_core.features.users import user_features
from recsys_core.retrieval.candidates import Candidates, exact_candidates, find_candidates
from recsys_core.retrieval.index import ItemIndex
from recsys_core.retrieval.training import FittedTower, encode_items, encode_users

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class RankingInputs:
    """Some requests after retrieval; `item_rows` and `item_vectors` are in the order of item_idx."""

    users: Histories
    user_rows: pl.DataFrame  # user_features
    item_rows: pl.DataFrame  # item_features
    item_vectors: Float32s  # (n_items, dim + 1)
    candidates: Candidates


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
    user_vectors, item_vectors = encode_users(tower.model, users), encode_items(tower.model)
    if index is None:
        candidates = exact_candidates(item_vectors, user_vectors, users, n_candidates)
    else:
        candidates = find_candidates(index, user_vectors, users, n_candidates)
    return RankingInputs(
        users=users,
        user_rows=user_features(known, item_rows) if user_rows is None else user_rows,
        item_rows=item_rows,
        item_vectors=item_vectors,
        candidates=candidates,
    )


def candidate_features(inputs: RankingInputs) -> Float32s:
    """(n_users, n_candidates, n_features): what the ranker reads."""
    side = item_side(inputs.item_rows, inputs.item_vectors)
    candidates = (inputs.candidates.item_idx, inputs.candidates.scores)
    return feature_matrix(inputs.users, inputs.user_rows, inputs.item_rows, side, candidates)
