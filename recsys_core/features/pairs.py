"""Users with their candidates, and intermediate results that several features share, each computed once."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from recsys_core.arrays import Bools, Float32s, Int64s
from recsys_core.features.exposures import Exposures
from recsys_core.features.feature import Feature
from recsys_core.features.item_inputs import ItemInputs
from recsys_core.features.state import UserStates

N_RECENT = 5
"""Ratings that count as the current session; results hardly change between 3 and 10."""

PLAIN_BELOW = 8
"""Vectors below which `largest_dots` computes all products one by one, which is as fast."""

AT_ONCE = 1 << 18
"""Multiplications of a matrix product that BLAS still runs on one thread. Several threads would wait for each other
longer than a whole request takes."""


@dataclass(frozen=True, kw_only=True)
class UserParts:
    """The user side of the retrieval score, part by part, and of the rating model."""

    trained: Float32s  # (n_users, d)
    ease: Float32s  # (n_users, rank), its weight included
    trend: Float32s  # (n_users, n_bins)
    rating: Float32s  # (n_users, rating_rank) of the rating model
    evidence: Float32s  # (n_ratings,) of the users' histories, to compare neighbours


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Each user with each of their candidates; n_users may be 1, as at a request.

    Where item_idx is -1 there is no candidate, and every value is arbitrary. No value depends on another user, and only
    rank and standardised score depend on other candidates.
    """

    users: UserStates
    items: ItemInputs
    user_parts: UserParts
    item_idx: Int64s  # (n_users, n_candidates), best first
    exposures: Exposures | None = None  # None where nothing was shown
    _values: dict[str, Float32s] = field(default_factory=dict, repr=False)

    def value(self, feature: "Feature[Pairs]") -> Float32s:
        """The values of a feature; computed at the first call, so that features can use each other."""
        if feature.name not in self._values:
            self._values[feature.name] = feature(self)
        return self._values[feature.name]

    @cached_property
    def is_candidate(self) -> Bools:
        """(n_users, n_candidates)."""
        return self.item_idx >= 0

    # `take` instead of indexing: three times as fast for two hundred rows.

    @cached_property
    def trained(self) -> Float32s:
        """(n_users, n_candidates, d) the item tower's vectors of the candidates."""
        return self.items.learned.trained.take(self.item_idx, axis=0)

    @cached_property
    def target_factors(self) -> Float32s:
        """(n_users, n_candidates, rank) EASE target factors of the candidates."""
        return self.items.learned.target_factors.take(self.item_idx, axis=0)

    @cached_property
    def genres(self) -> Float32s:
        """(n_users, n_candidates, n_genres) of 0 and 1."""
        return self.items.genres.take(self.item_idx, axis=0)

    @cached_property
    def recent(self) -> Int64s:
        """(n_users, 5) item_idx of the latest ratings, newest first; -1 where a history is shorter."""
        histories = self.users.histories
        return latest(histories.item_idx, histories.offsets, N_RECENT)

    @cached_property
    def recent_cosines(self) -> Float32s:
        """(n_users, n_candidates, 5) of the item tower's vectors; arbitrary where a history is shorter."""
        unit = self.items.unit_vectors
        cosines: Float32s = np.einsum("ucd,urd->ucr", unit.take(self.item_idx, axis=0), unit[self.recent])
        return np.clip(cosines, -1, 1)

    @cached_property
    def n_recent(self) -> Float32s:
        """(n_users, 1) number of latest ratings, at most 5; NaN for none."""
        n = (self.recent >= 0).sum(axis=1, keepdims=True)
        return np.where(n > 0, n, np.nan).astype(np.float32)


def latest(items: Int64s, offsets: Int64s, n: int) -> Int64s:
    """(n_users, n) the last items of each user, newest first; -1 where there are fewer.

    Args:
        items: (n_ratings,) item_idx, oldest first within a user.
        offsets: (n_users + 1,) start of each user.
        n: number of items.
    """
    at = offsets[1:, None] - 1 - np.arange(n)  # (n_users, n)
    inside = at >= offsets[:-1, None]
    if not len(items):
        return np.full(at.shape, -1, dtype=np.int64)
    found: Int64s = np.where(inside, items[np.maximum(at, 0)], -1)
    return found


def dots(vectors: Float32s, users: Float32s) -> Float32s:
    """(n_users, n_candidates) dot product of each candidate with its user's vector.

    Not a matrix product: the order in which BLAS sums depends on the number of candidates.

    Args:
        vectors: (n_users, n_candidates, d).
        users: (n_users, d).
    """
    product: Float32s = np.einsum("ucd,ud->uc", vectors, users)
    return product


def largest_dots(vectors: Float32s, others: Float32s) -> Float32s:
    """(n,) the largest dot product of each vector a_i with any of the others b_j, to the bit of `dots`.

    A matrix product takes a tenth of the time, but its last bits depend on n and m. So it only selects the pairs that
    may be the largest,

        a_i . b_j  >=  max_k a_i . b_k - slack_i,    slack_i = 4 d eps |a_i| max_j |b_j|

    and their products are summed again, one by one, with the same bits for any batch. A sum of d products is off by
    less than d eps |a| |b|, whatever its order (Higham 2002, Accuracy and Stability of Numerical Algorithms, section
    3.1). The factor 4: two products are compared, each summed in two orders.

    Args:
        vectors: (n, d).
        others: (m, d), one or more.
    """
    if len(others) < PLAIN_BELOW:
        plain: Float32s = np.einsum("nd,md->nm", vectors, others).max(axis=1)
        return plain
    n, d = vectors.shape
    step = max(1, AT_ONCE // max(1, others.size))
    rough = np.concatenate([vectors[at : at + step] @ others.T for at in range(0, n, step)])  # (n, m)
    eps = np.finfo(np.float32).eps
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors)) * np.sqrt(np.einsum("md,md->m", others, others).max())
    slack = 4 * d * eps * norms
    rows, columns = np.nonzero(rough >= (rough.max(axis=1) - slack)[:, None])
    products = np.einsum("pd,pd->p", vectors[rows], others[columns])
    largest: Float32s = np.maximum.reduceat(products, np.searchsorted(rows, np.arange(n)))
    return largest
