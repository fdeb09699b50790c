"""Users to compare with, and how much of what they liked speaks for an item."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys_core.data.histories import Histories

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]

N_NEAREST = 100
"""Users who are asked: 30 know less, and more would be strangers."""

LIKE_EVIDENCE = 1.0


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Some users' ratings as evidence, row by row as in a CSR matrix, and how much each user counts."""

    offsets: Int64s  # (n_users + 1,)
    item_idx: Int64s  # (n_ratings,)
    evidence: Float32s  # (n_ratings,) LIKE_EVIDENCE for a like, less for another rating
    recency: Float32s  # (n_users,) in (0, 1]
    n_items: int

    def liked_share(self, histories: Histories, own_evidence: Float32s, item_idx: Int64s) -> Float32s:
        """(n_users, n_candidates) share of the nearest users, by weight, who liked each candidate.

        The weight of a user is the cosine of both users' evidence times the recency; the `N_NEAREST` of largest weight
        are asked. NaN for a user who is like nobody.

        Args:
            histories: of those who ask.
            own_evidence: (n_ratings,) of their ratings.
            item_idx: (n_users, n_candidates).
        """
        asking = histories.matrix(own_evidence)
        length = np.sqrt(np.asarray(asking.multiply(asking).sum(axis=1), dtype=np.float32))
        alike = (asking @ self._by_item).toarray()  # (n_users, n_kept)
        weights = alike / np.maximum(length[:, None] * self._lengths, np.float32(1e-6)) * self.recency
        shares = np.full(item_idx.shape, np.nan, dtype=np.float32)
        for user, own in enumerate(weights):
            nearest = np.argsort(-own, kind="stable")[:N_NEAREST]
            total = own[nearest].sum()
            if total > 0:
                votes = own[nearest] @ self._likes[nearest]  # (n_items,)
                shares[user] = votes[item_idx[user]] / total
        return shares

    @cached_property
    def _matrix(self) -> sp.csr_array:
        return sp.csr_array((self.evidence, self.item_idx, self.offsets), shape=(len(self.recency), self.n_items))

    @cached_property
    def _by_item(self) -> sp.csr_array:
        return self._matrix.T.tocsr()

    @cached_property
    def _likes(self) -> sp.csr_array:
        liked = (self.evidence == LIKE_EVIDENCE).astype(np.float32)
        return sp.csr_array((liked, self.item_idx, self.offsets), shape=self._matrix.shape)

    @cached_property
    def _lengths(self) -> Float32s:
        """(n_users,)."""
        squares = np.add.reduceat(np.append(self.evidence**2, np.float32(0)), self.offsets[:-1])
        lengths: Float32s = np.sqrt(squares).astype(np.float32)
        return lengths
