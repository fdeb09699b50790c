"""EASE: the best linear model of each item by all others, in closed form.

Minimises |X - X B|^2 + l2 |B|^2 under diag(B) = 0, where X (n_users, n_items) is what users did. With
P = (X'X + l2 I)^-1 the solution is B = I - P diag(P)^-1, and a history h scores the items h B = h - (h P) / diag(P).

Source: Steck (2019), arXiv:1905.03375, doi:10.1145/3308558.3313710.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

from recsys_core.arrays import Float32s
from recsys_core.data.histories import Histories
from recsys_core.evaluation.baselines.config import BaselinesConfig, Input
from recsys_core.evaluation.baselines.scorer import PRIOR_WEIGHT, Scorer, input_matrix, popularity_prior

EASE_GRID = tuple(
    {"ease_l2": l2, "ease_input": kind} for l2 in (200.0, 100.0, 400.0, 800.0) for kind in ("likes", "rating")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimalEase:
    """EASE with the item weights held in full."""

    weights: Float32s  # (n_items, n_items) B, 0 on its diagonal
    prior: Float32s  # (n_items,)
    kind: Input

    def score(self, histories: Histories) -> Float32s:
        """(n_users, n_items): h B."""
        personal: Float32s = input_matrix(histories, self.kind) @ self.weights
        return personal + PRIOR_WEIGHT * self.prior


@dataclass(frozen=True, slots=True, kw_only=True)
class DualEase:
    """EASE through a matrix of users by items; nothing of size items by items ever exists.

    By Woodbury's identity l2 P = I - V'V, where V solves L V = X and L L' = X X' + l2 I is a Cholesky factorisation.
    """

    basis: Float32s  # (n_train_users, n_items) V
    diagonal: Float32s  # (n_items,) diag(l2 P) = 1 - |column of V|^2, in (0, 1]
    prior: Float32s  # (n_items,)
    kind: Input

    def score(self, histories: Histories) -> Float32s:
        """(n_users, n_items): h - (h P) / diag(P); the factor l2 cancels."""
        read = input_matrix(histories, self.kind)
        precision = read - (read @ self.basis.T) @ self.basis  # (n_users, n_items) l2 h P
        personal: Float32s = read - precision / self.diagonal
        return personal + PRIOR_WEIGHT * self.prior


def fit_ease(train: Histories, config: BaselinesConfig) -> Scorer:
    """Fit in whichever form is cheaper: the dual costs n_users^3, the primal n_items^3; the scores are the same."""
    return fit_dual_ease(train, config) if train.n_users < train.n_items else fit_primal_ease(train, config)


def fit_primal_ease(train: Histories, config: BaselinesConfig) -> PrimalEase:
    """Invert items by items."""
    read = input_matrix(train, config.ease_input).astype(np.float64)
    gram = (read.T @ read).toarray() + config.ease_l2 * np.eye(train.n_items)
    inverse = cho_solve(cho_factor(gram), np.eye(train.n_items))  # P
    weights = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return PrimalEase(weights=weights, prior=popularity_prior(train), kind=config.ease_input)


def fit_dual_ease(train: Histories, config: BaselinesConfig) -> DualEase:
    """Factorise users by users."""
    read = input_matrix(train, config.ease_input).astype(np.float64)
    gram = (read @ read.T).toarray() + config.ease_l2 * np.eye(train.n_users)
    basis = solve_triangular(cholesky(gram, lower=True), read.toarray(), lower=True)
    diagonal = 1 - np.einsum("ui,ui->i", basis, basis)
    return DualEase(
        basis=basis.astype(np.float32),
        diagonal=diagonal.astype(np.float32),
        prior=popularity_prior(train),
        kind=config.ease_input,
    )
