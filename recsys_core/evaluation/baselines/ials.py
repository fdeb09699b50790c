"""iALS: matrix factorisation by alternating least squares, which also learns from the items that a user did not choose.

Minimises over user vectors w_u and item vectors h_i, with x_ui > 0 for what users did and 0 for all other pairs,

    sum over u, i of x_ui (w_u . h_i - 1)^2  +  alpha0 sum over u, i of (w_u . h_i)^2
        +  l2 (sum over u of (x_u + alpha0 n_items) |w_u|^2  +  sum over i of (x_i + alpha0 n_users) |h_i|^2)

where x_u and x_i are the sums of a user's and an item's x_ui. With one side fixed, each vector of the other is a ridge
regression of its own. A history's vector is solved in the same way, so users unknown to the fit are scored like all
others.

Sources: Hu, Koren & Volinsky (2008), doi:10.1109/ICDM.2008.22. Objective, regularisation by frequency (nu = 1) and
initialisation as Rendle, Krichene, Zhang & Koren (2021) advise, arXiv:2110.14037.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from recsys_core.arrays import Float32s, Float64s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.evaluation.baselines.config import BaselinesConfig, Input
from recsys_core.evaluation.baselines.scorer import PRIOR_WEIGHT, input_matrix, popularity_prior
from recsys_core.seeding import child

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

IALS_GRID = tuple(
    {"ials_dim": dim, "ials_unobserved_weight": weight, "ials_l2": l2}
    for dim, weight, l2 in (
        (64, 1.0, 0.005),
        (64, 0.5, 0.01),
        (64, 2.0, 0.003),
        (64, 1.0, 0.003),
        (64, 4.0, 0.002),
        (64, 1.0, 0.007),
        (32, 2.0, 0.003),
        (96, 1.0, 0.005),
    )
)
"""From a search over 79 settings on the development windows of the shipped data. The larger the weight, the smaller the
best penalty: their product was about 0.005 to 0.008 at the best setting."""

INIT_STD = 0.1
"""Expected length of an item's first vector."""

BLOCK = 2**17
"""Floats of the vectors gathered at once: half a megabyte, which stays in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedSide:
    """The vectors of one side, in the basis in which the sum of their outer products is diagonal.

    The objective is the same in every basis, and this one makes short rows cheap: see `solve`.
    """

    vectors: Floats  # (n, dim)
    spectrum: Float64s  # (dim,) diagonal of vectors' vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class IalsScorer:
    """Solves each user's vector from the history, with the item vectors fixed."""

    items: FixedSide
    prior: Float32s  # (n_items,)
    kind: Input
    unobserved_weight: float
    l2: float

    def encode_users(self, histories: Histories) -> Floats:
        """(n_users, dim): each user's minimiser of the objective; zeros where the model reads nothing."""
        read = input_matrix(histories, self.kind)
        with threadpool_limits(limits=1, user_api="blas"):
            return solve(read, self.items, unobserved_weight=self.unobserved_weight, l2=self.l2)

    def score(self, histories: Histories) -> Float32s:
        """(n_users, n_items): dot products of the user's vector with the items'."""
        users = self.encode_users(histories)
        with threadpool_limits(limits=1, user_api="blas"):
            personal = (users @ self.items.vectors.T).astype(np.float32, copy=False)
        scores: Float32s = personal + PRIOR_WEIGHT * self.prior
        return scores


def fit_ials(train: Histories, config: BaselinesConfig) -> IalsScorer:
    """Alternate `ials_n_sweeps` times: users with the items fixed, then items with the users fixed.

    The same ratings, settings and seed give the same bytes. Vectors are float32: in float64 a fit takes a third longer
    and gives the same lists.
    """
    by_user = input_matrix(train, config.ials_input)
    by_item = by_user.T.tocsr()
    solved = partial(solve, unobserved_weight=config.ials_unobserved_weight, l2=config.ials_l2)
    first = child(config.seed, "ials").standard_normal((train.n_items, config.ials_dim))
    with threadpool_limits(limits=1, user_api="blas"):  # sums depend on their order, and that on the number of threads
        items = diagonalised((first * INIT_STD / np.sqrt(config.ials_dim)).astype(np.float32))
        for _ in range(config.ials_n_sweeps):
            users = diagonalised(solved(by_user, items))
            items = diagonalised(solved(by_item, users))
    return IalsScorer(
        items=items,
        prior=popularity_prior(train),
        kind=config.ials_input,
        unobserved_weight=config.ials_unobserved_weight,
        l2=config.ials_l2,
    )


def diagonalised(vectors: Floats) -> FixedSide:
    """Rotate vectors (n, dim) to the eigenvectors of the sum of their outer products."""
    exact = vectors.astype(np.float64, copy=False)
    spectrum, basis = np.linalg.eigh(exact.T @ exact)
    return FixedSide(vectors=vectors @ basis.astype(vectors.dtype), spectrum=spectrum)


def _as_precise(values: Float64s, other: Floats) -> Floats:
    """The values in the precision of another array."""
    return values.astype(np.float32) if other.dtype == np.float32 else values


def solve(rows: sp.csr_array, fixed: FixedSide, *, unobserved_weight: float, l2: float) -> Floats:
    """The minimiser of the objective for each row while the other side is fixed.

    Let V be the fixed vectors of a row's entries, X = diag(x), and R = alpha0 (sum of all outer products) +
    l2 (sum x + alpha0 n_fixed) I. The minimiser is (R + V'XV)^-1 V'x. R is diagonal in the basis of `FixedSide`, so a
    row with fewer entries than dimensions needs only one equation per entry, by Woodbury's identity:
    R^-1 V'X^1/2 (I + X^1/2 V R^-1 V'X^1/2)^-1 x^1/2. The other rows do not change a bit of a row's result.

    Args:
        rows: (n, n_fixed) x, positive where stored.
        fixed: the other side.
        unobserved_weight: alpha0.
        l2: weight of the regularisation.

    Returns:
        (n, dim), in the basis of `fixed` and of its type; zeros for a row without entries.
    """
    n_fixed, dim = fixed.vectors.shape
    solved = _as_precise(np.zeros((rows.shape[0], dim)), fixed.vectors)
    for chosen, entries in _of_equal_length(rows, dim):
        values = rows.data[entries].astype(np.float64)  # (n_chosen, length)
        frequency = values.sum(axis=1) + unobserved_weight * n_fixed
        ridge = unobserved_weight * fixed.spectrum + l2 * frequency[:, None]  # (n_chosen, dim) diagonal of R
        root = _as_precise(np.sqrt(values), fixed.vectors)
        scaled = fixed.vectors.take(rows.indices[entries], axis=0)  # (n_chosen, length, dim)
        np.multiply(scaled, root[:, :, None], out=scaled)  # X^1/2 V
        solver = _solve_short if entries.shape[1] < dim else _solve_long
        solved[chosen] = solver(scaled, root, _as_precise(ridge, fixed.vectors))
    return solved


def _of_equal_length(rows: sp.csr_array, dim: int) -> Iterator[tuple[Int64s, Int64s]]:
    """Blocks of rows with as many entries each: their numbers (n,) and the places of their entries (n, length)."""
    starts = rows.indptr.astype(np.int64)
    lengths = np.diff(starts)
    by_length = np.argsort(lengths, kind="stable")
    unique, first = np.unique(lengths[by_length], return_index=True)
    ends = np.append(first, len(lengths))[1:]
    for length, begin, end in zip(unique.tolist(), first.tolist(), ends.tolist(), strict=True):
        size = max(1, BLOCK // max(1, length * dim))
        for at in range(begin, end, size) if length else ():
            chosen = by_length[at : min(at + size, end)]
            yield chosen, starts[chosen, None] + np.arange(length)


def _solve_short(scaled: Floats, root: Floats, ridge: Floats) -> Floats:
    """Through systems of (length, length)."""
    divided = scaled / ridge[:, None, :]
    small = divided @ scaled.transpose(0, 2, 1)
    diagonal = np.arange(root.shape[1])
    small[:, diagonal, diagonal] += 1
    weights = np.linalg.solve(small, root[:, :, None])
    solved: Floats = weights.transpose(0, 2, 1) @ divided
    return solved[:, 0]


def _solve_long(scaled: Floats, root: Floats, ridge: Floats) -> Floats:
    """Through systems of (dim, dim)."""
    flipped = scaled.transpose(0, 2, 1)
    gram = flipped @ scaled
    diagonal = np.arange(ridge.shape[1])
    gram[:, diagonal, diagonal] += ridge
    solved: Floats = np.linalg.solve(gram, flipped @ root[:, :, None])
    return solved[:, :, 0]
