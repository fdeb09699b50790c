"""EASE as factors: the part of retrieval in closed form, with one vector per user and one per item.

EASE (Steck 2019, arXiv:1905.03375) is the linear item-to-item model B with a zero diagonal that best rebuilds the
ratings matrix X under a ridge penalty l: B = I - P diag(P)^-1 with P = (X'X + lI)^-1. With X = U S W', P is diagonal in
W, and for an item i outside the history h

    score(i) = sum over j in h of h_j  W_j . (g * W_i) / (1 - sum_k g_k W_ik^2),      g_k = s_k^2 / (s_k^2 + l)

which is a dot product of a user vector (the sum of h_j W_j) and an item vector. So EASE fits into the same index as the
towers. Only the largest singular values are kept, which makes the vectors short and costs one percent of recall.

EASE reads the strongest signal of small data, co-occurrence of items. The towers add time, genres and dislikes. Each
finds likes that the other misses.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from recsys_core.arrays import Float32s, Float64s
from recsys_core.data.histories import Histories, evidence, places_back
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.seeding import child

N_EXTRA = 64
"""Factors computed beyond those kept: the last ones of a block converge slowly and are discarded."""

N_COLUMNS = 24
"""Columns per product of the ratings with a dense block: this many fit into the processor's cache, where the whole
block of a large data set would not. The bytes are the same, because columns are independent."""

N_ROUNDS = 4
"""Products with XX': each brings the block nearer to the largest factors."""


@dataclass(frozen=True, kw_only=True)
class EaseFactors:
    """Factors of the items: a history factor and a target factor each, as in the towers."""

    history_factors: Float32s  # (n_items, rank) W
    gains: Float32s  # (rank,) g
    recency_power: float  # a rating p places back has the weight (1 + p)^-power

    @cached_property
    def target_factors(self) -> Float32s:
        """(n_items, rank) computed from the history factors, so that it need not be stored."""
        remainder = 1 - (self.history_factors**2) @ self.gains  # (n_items,) the diagonal of P, times l
        target_factors: Float32s = self.history_factors * self.gains / np.maximum(remainder, np.float32(1e-6))[:, None]
        return target_factors

    @property
    def rank(self) -> int:
        """Length of the vectors."""
        return int(self.history_factors.shape[1])

    def encode_users(self, users: Histories) -> Float32s:
        """(n_users, rank) user vectors, scaled so that a user's scores have a standard deviation of 1.

        Without the scale, the scores of long histories would dominate those of the towers, and short ones would not
        count. An empty history gives zeros, and so does one that scores all items equally.
        """
        pooled = users.weighted_sums(self._values(users), self.history_factors)  # (n_users, rank)
        scaled: Float32s = (pooled * self._scale(pooled)[:, None]).astype(np.float32)
        return scaled

    def encode_ratings(self, users: Histories) -> Float32s:
        """(n_ratings, rank) the contribution of each rating to its user's vector; they sum to `encode_users`."""
        values = self._values(users)
        scale = self._scale(users.weighted_sums(values, self.history_factors))
        added: Float32s = (self.history_factors[users.item_idx] * (values * scale[users.rows])[:, None]).astype(
            np.float32
        )
        return added

    def _values(self, users: Histories) -> Float32s:
        """(n_ratings,) weight of each rating: its evidence, which decays with the places back."""
        return (evidence(users) * (1.0 + places_back(users)) ** -self.recency_power).astype(np.float32)

    def _scale(self, pooled: Float32s) -> Float64s:
        """(n_users,) 1 / standard deviation of a user's scores over the catalogue; 0 where all items score equally."""
        # In two steps: with three operands, a single user's sum has another order than a batch's where rank is 2.
        variance = np.einsum("us,us->u", np.einsum("ur,sr->us", pooled, self._covariance), pooled)
        scale: Float64s = np.where(variance > 1e-12, np.maximum(variance, 1e-12) ** -0.5, 0)
        return scale

    @cached_property
    def _covariance(self) -> Float32s:
        """(rank, rank) covariance of the target factors."""
        n_items = max(len(self.target_factors), 1)
        centred = self.target_factors - self.target_factors.sum(axis=0) / np.float32(n_items)
        # One thread, because a service and a replay with other numbers of threads must get the same bits.
        with threadpool_limits(limits=1, user_api="blas"):
            covariance: Float32s = centred.T @ centred / np.float32(n_items)
        return covariance


def fit_ease_factors(users: Histories, config: TwoTowerConfig) -> EaseFactors:
    """The factors of the users' ratings matrix.

    Fewer than `closed_form_dim` factors come back where there are fewer users or items than that. The cost is linear in
    the number of ratings. The same ratings, settings and thread count give the same bytes.
    """
    matrix = users.matrix(evidence(users).astype(np.float32)).astype(np.float64)
    rank = min(config.closed_form_dim, *matrix.shape)
    if rank < 1:
        return _without_factors(users.n_items, config)
    with threadpool_limits(limits=config.n_threads, user_api="blas"):  # sums depend on their order
        singular, item_factors = largest_factors(matrix, rank, child(config.seed, "two_tower", "closed_form"))
    return EaseFactors(
        history_factors=np.ascontiguousarray(item_factors, dtype=np.float32),
        gains=(singular**2 / (singular**2 + config.closed_form_l2)).astype(np.float32),
        recency_power=config.closed_form_recency,
    )


def largest_factors(matrix: sp.csr_array, rank: int, rng: np.random.Generator) -> tuple[Float64s, Float64s]:
    """The largest singular values (rank,) and their item factors (n_items, rank).

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011, doi:10.1137/090771806). SciPy's `svds` is as fast,
    but fails on a matrix of zeros and, where singular values repeat or vanish, starts again from a draw of its own, so
    that a second fit gives other bytes.
    """
    block = min(rank + N_EXTRA, *matrix.shape)
    by_item = matrix.T.tocsr()  # half the time of the transposed view, which scatters its writes
    basis = rng.standard_normal((matrix.shape[0], block))
    for _ in range(N_ROUNDS):
        basis = np.linalg.qr(_product(matrix, _product(by_item, basis)))[0]  # (n_users, block)
    items = _product(by_item, basis)  # (n_items, block)
    # The eigenvectors of the small Gram matrix take a tenth of the time of an SVD of `items`, and are exact enough for
    # factors that pass a ridge penalty. Factors whose singular value is zero up to rounding stay zero.
    squares, turned = np.linalg.eigh(items.T @ items)
    singular = np.sqrt(np.maximum(squares[::-1], 0))[:rank]
    factors = items @ turned[:, ::-1][:, :rank]
    is_real = singular > 1e-7 * max(float(singular[0]), 1e-300)
    return singular * is_real, np.where(is_real, factors / np.where(is_real, singular, 1.0), 0.0)


def _product(matrix: sp.csr_array, block: Float64s) -> Float64s:
    """`matrix @ block`, a few columns at a time."""
    parts = [matrix @ np.ascontiguousarray(block[:, at : at + N_COLUMNS]) for at in range(0, block.shape[1], N_COLUMNS)]
    return np.concatenate(parts, axis=1)


def _without_factors(n_items: int, config: TwoTowerConfig) -> EaseFactors:
    return EaseFactors(
        history_factors=np.zeros((n_items, 0), dtype=np.float32),
        gains=np.zeros(0, dtype=np.float32),
        recency_power=config.closed_form_recency,
    )
