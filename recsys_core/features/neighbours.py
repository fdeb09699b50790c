"""User-based nearest neighbours: the share of similar recent users who liked an item, as one feature of the ranker.

Resnick et al. 1994, doi:10.1145/192844.192905; Herlocker et al. 1999, doi:10.1145/312624.312682. Factor models smooth
over what few users have in common. Users of the same site in the same months have seen the same lists and so have much
in common. So only the latest users are kept, and later ones have a larger weight.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys_core.arrays import Float32s, Float64s, Int64s
from recsys_core.data.histories import Histories, evidence

N_NEAREST = 100
"""Neighbours per user: 30 are too few, and further users are hardly similar."""

LIKE_EVIDENCE = 1.0


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Some users' ratings as evidence, in the layout of a CSR matrix, and a weight per user."""

    offsets: Int64s  # (n_users + 1,)
    item_idx: Int64s  # (n_ratings,)
    evidence: Float32s  # (n_ratings,) LIKE_EVIDENCE for a like, less for another rating
    recency: Float32s  # (n_users,) in (0, 1]
    n_items: int

    def liked_share(self, histories: Histories, own_evidence: Float32s, item_idx: Int64s) -> Float32s:
        """(n_users, n_candidates) share of the nearest users, by weight, who liked each candidate.

        The weight of a user is the cosine of both users' evidence times the recency; the `N_NEAREST` users with the
        largest weights vote. NaN for a user without similar users.

        Args:
            histories: of the users to serve.
            own_evidence: (n_ratings,) of their ratings.
            item_idx: (n_users, n_candidates).
        """
        shares = np.full(item_idx.shape, np.nan, dtype=np.float32)
        for user, candidates in enumerate(item_idx):
            own = slice(histories.offsets[user], histories.offsets[user + 1])
            weights = self._weights(histories.item_idx[own], own_evidence[own].astype(np.float64))
            nearest = _largest(weights, N_NEAREST)
            total = weights[nearest].sum()
            if total > 0:
                shares[user] = self._votes(nearest, weights[nearest])[candidates] / total
        return shares

    def _weights(self, items: Int64s, evidence: Float64s) -> Float64s:
        """(n_users,) the weight of each user for this history.

        One sum per user, in the order of the history: a user alone and in a batch gets the same bits.
        """
        places, lengths = _rows_of(self._by_item.offsets, items)
        products = self._by_item.values.take(places)
        products *= np.repeat(evidence, lengths)
        alike = np.bincount(self._by_item.columns.take(places), weights=products, minlength=len(self.recency))
        length = np.sqrt(np.cumsum(evidence**2)[-1:].sum())
        weights: Float64s = alike / np.maximum(length * self._lengths, 1e-6) * self.recency
        return weights

    def _votes(self, users: Int64s, weights: Float64s) -> Float64s:
        """(n_items,) sum of the weights of the given users who liked each item."""
        places, lengths = _rows_of(self._likes.offsets, users)
        liked, votes = self._likes.columns.take(places), np.repeat(weights, lengths)
        return np.bincount(liked, weights=votes, minlength=self.n_items).astype(np.float64, copy=False)

    @cached_property
    def _by_item(self) -> "_Rows":
        """The evidence by item: a request reads only the rows of its history."""
        order = np.argsort(self.item_idx, kind="stable")
        users = np.repeat(np.arange(len(self.recency)), np.diff(self.offsets))
        return _Rows(
            offsets=np.concatenate([[0], np.cumsum(np.bincount(self.item_idx, minlength=self.n_items))]),
            columns=users[order],
            values=self.evidence[order].astype(np.float64),
        )

    @cached_property
    def _likes(self) -> "_Rows":
        """The likes of each user."""
        liked = self.evidence == LIKE_EVIDENCE
        offsets = np.concatenate([[0], np.cumsum(liked)])[self.offsets]
        return _Rows(offsets=offsets, columns=self.item_idx[liked], values=np.ones(offsets[-1]))

    @cached_property
    def _lengths(self) -> Float64s:
        """(n_users,) Euclidean norm of each user's evidence."""
        squares = np.append(self.evidence.astype(np.float64) ** 2, 0.0)
        return np.sqrt(np.add.reduceat(squares, self.offsets[:-1])) * (np.diff(self.offsets) > 0)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """A sparse matrix by rows. The overhead of SciPy's calls would exceed the computation."""

    offsets: Int64s  # (n_rows + 1,)
    columns: Int64s  # (n,)
    values: Float64s  # (n,)


def _rows_of(offsets: Int64s, rows: Int64s) -> tuple[Int64s, Int64s]:
    """The positions of the entries of some rows, one row after the other, and the length of each row."""
    first = offsets[rows]
    lengths = offsets[rows + 1] - first
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1] if len(ends) else 0)
    places += np.repeat(first - ends + lengths, lengths)
    return places, lengths


def _largest(values: Float64s, n: int) -> Int64s:
    """The positions of the n largest values; the first of ties."""
    if len(values) <= n:
        return np.arange(len(values))
    last = np.partition(values, len(values) - n)[len(values) - n]
    above = np.flatnonzero(values > last)
    level = np.flatnonzero(values == last)[: n - len(above)]
    return np.concatenate([above, level])


MOST_USERS = 2_000
"""Latest users to keep: bounds size and time for any data set."""

LEAST_RATINGS = 5
"""Fewest ratings of a kept user."""

HALF_LIFE_S = 2 * 365 * 86_400
"""Seconds since a user's latest rating after which the user's weight is halved."""


def fit_neighbours(users: Histories, fit_end: int) -> Neighbours:
    """Keep the latest of some users.

    Args:
        users: all histories before the cut-off.
        fit_end: seconds UTC; the age of a user is counted back from here.
    """
    known = np.flatnonzero(users.lengths >= LEAST_RATINGS)
    last = users.timestamps[users.offsets[1:][known] - 1] if len(known) else np.zeros(0, dtype=np.int64)
    latest = np.sort(known[np.argsort(-last, kind="stable")[:MOST_USERS]])
    kept = users.select(latest)
    ages = fit_end - kept.timestamps[kept.offsets[1:] - 1] if len(latest) else np.zeros(0)
    return Neighbours(
        offsets=kept.offsets,
        item_idx=kept.item_idx,
        evidence=evidence(kept).astype(np.float32),
        recency=(0.5 ** (ages / HALF_LIFE_S)).astype(np.float32),
        n_items=users.n_items,
    )
