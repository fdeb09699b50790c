"""ALS of `implicit`: factors of users and items by alternating least squares; unknown users are folded in.

Minimises sum_ui c_ui (p_ui - x_u . y_i)^2 + l2 (|x_u|^2 + |y_i|^2), where p is 1 for a like and 0 otherwise, and c is
alpha for a like and 1 otherwise.

Source: Hu, Koren & Volinsky (2008), doi:10.1109/ICDM.2008.22; solver: Takacs, Pilaszy & Tikk (2011),
doi:10.1145/2043932.2043987.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, Field

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.evaluation.baselines.scorer import PRIOR_WEIGHT, popularity_prior


class AlsConfig(BaseModel, frozen=True, extra="forbid"):
    """Settings of one fit."""

    factors: int = Field(64, ge=1, le=1024, description="Numbers per user and per item.")
    l2: float = Field(1.0, ge=0, le=10_000, description="Ridge penalty on all factors.")
    alpha: float = Field(1.0, gt=0, le=1000, description="Weight of a like; other items have the weight 1.")
    iterations: int = Field(15, ge=1, le=500, description="Rounds over users, then items; the default of the library.")


class FoldsIn(Protocol):
    """The part of `implicit` that is used; the library has no types."""

    item_factors: Float32s  # (n_items, factors)

    def recalculate_user(self, userid: Int64s, user_items: sp.csr_matrix) -> Float32s:
        """(n_users, factors): the least-squares factors of these rows, with items held fixed; 0 for an empty row."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AlsScorer:
    """The factors of the items; histories are folded in."""

    model: FoldsIn
    prior: Float32s  # (n_items,)

    def score(self, histories: Histories) -> Float32s:
        """(n_users, n_items): x_u . y_i, with x_u solved for the given history, whether the user is known or not."""
        users = self.model.recalculate_user(np.arange(histories.n_users), likes_of(histories))
        personal: Float32s = users @ self.model.item_factors.T
        return personal + PRIOR_WEIGHT * self.prior


def fit_als(train: Histories, config: AlsConfig, seed: int) -> AlsScorer:
    """Factorise the likes, in one thread; the same seed gives the same factors."""
    from implicit.als import AlternatingLeastSquares  # noqa: PLC0415  # of the `peers` extra: absent for most

    model = AlternatingLeastSquares(
        factors=config.factors,
        regularization=config.l2,
        alpha=config.alpha,
        iterations=config.iterations,
        num_threads=1,
        random_state=seed,
    )
    model.fit(likes_of(train), show_progress=False)
    return AlsScorer(model=model, prior=popularity_prior(train))


def likes_of(histories: Histories) -> sp.csr_matrix:
    """(n_users, n_items) float32 likes as the library needs them: a matrix, not an array, with 32-bit indices."""
    likes = histories.likes()
    indices, offsets = likes.indices.astype(np.int32), likes.indptr.astype(np.int32)
    return sp.csr_matrix((likes.data, indices, offsets), shape=likes.shape)
