"""Candidates: the items with the highest retrieval scores, without items that the user has seen.

Rated items compete by score. An item without ratings would never be a candidate, because most of a score comes from
ratings. So a configured share of the places is reserved for new items, which compete among themselves by the item
tower's output for genres and years.

Training rows, evaluation and serving share this module's filter of seen items. It removes the items of the histories
that it is given; `seen_at` decides which ratings count as seen at a request.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from recsys_core.arrays import Bools, Float32s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.data.schemas import LIKED
from recsys_core.days import DAY_S
from recsys_core.retrieval.config import IndexConfig
from recsys_core.retrieval.index import QUERIES_AT_ONCE, ExactSearch, ItemIndex, Searchable, build_index
from recsys_core.retrieval.model import RetrievalModel, item_vectors


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Each user's candidates, best first, (n_users, n_candidates); item_idx -1 and score -inf as padding."""

    item_idx: Int64s
    scores: Float32s


def seen_at(users: Histories, requested_at: Int64s, rewatch_after_days: int | None) -> Histories:
    """The ratings whose items are no candidates at a request; without a limit on age, the histories themselves.

    Args:
        users: the users' ratings before the request.
        requested_at: (n_users,) seconds UTC.
        rewatch_after_days: a liked item may be a candidate again after this many days; None: never. Items that were not
            liked are never candidates again.
    """
    if rewatch_after_days is None:
        return users
    age = np.repeat(requested_at, users.lengths) - users.timestamps
    kept = (users.ratings < LIKED) | (age < rewatch_after_days * DAY_S)
    n_kept = np.concatenate([[0], np.cumsum(kept)])
    return replace(
        users,
        offsets=n_kept[users.offsets],
        item_idx=users.item_idx[kept],
        ratings=users.ratings[kept],
        timestamps=users.timestamps[kept],
    )


@dataclass(frozen=True, kw_only=True)
class FirstRatings:
    """First ratings of items and times of requests: items without a rating before the request are no candidates."""

    first_rated_at: Int64s  # (n_items,) seconds UTC
    requested_at: Int64s  # (n_users,) seconds UTC

    def max_not_yet_rated(self, rows: Int64s) -> int:
        """Number of items without a rating before the earliest of some requests."""
        return int((self.first_rated_at >= self.requested_at[rows].min()).sum())

    def is_not_yet_rated(self, row: int) -> Bools:
        """(n_items,) whether an item had no rating strictly before the request."""
        not_yet_rated: Bools = self.first_rated_at >= self.requested_at[row]
        return not_yet_rated


@dataclass(frozen=True, kw_only=True)
class Retriever:
    """A retrieval model with its items ready to be searched.

    Attributes:
        model: encodes users and items.
        item_vectors: (n_items, d) of all items.
        index: of the rated items, in their order; None: exact search.
    """

    model: RetrievalModel
    item_vectors: Float32s
    index: ItemIndex | None

    @classmethod
    def of(cls, model: RetrievalModel, index: ItemIndex | None = None) -> "Retriever":
        """Compute the item vectors of a model."""
        return cls(model=model, item_vectors=item_vectors(model), index=index)

    def candidates(self, vectors: Float32s, seen: Histories, requested_at: Int64s, n: int) -> Candidates:
        """The best items of each user: rated items by score, then new items in the places reserved for them.

        Args:
            vectors: (n_users, d) of the users.
            seen: items that are no candidates, as `seen_at` gives them.
            requested_at: (n_users,) seconds UTC. An item whose first rating came later is no candidate. A request
                before the model's `fit_end` gets no new items: items that were new then may have ratings by now.
            n: candidates per user, new ones included.
        """
        is_now = requested_at >= self.model.fit_end
        n_new = min(int(self.model.new_item_share * n), len(self.model.new)) if is_now.any() else 0
        rated = self._among_rated(vectors, seen, requested_at, n - n_new)
        if not n_new:
            return rated
        new = find_candidates(self._new, vectors, seen, n_new)
        new.item_idx[~is_now], new.scores[~is_now] = -1, -np.inf
        return _joined(rated, new)

    def _among_rated(self, vectors: Float32s, seen: Histories, requested_at: Int64s, n: int) -> Candidates:
        model = self.model
        is_past = len(requested_at) > 0 and int(requested_at.min()) <= self._latest_first_rating
        first_ratings = (
            FirstRatings(first_rated_at=model.first_rated_at, requested_at=requested_at) if is_past else None
        )
        return find_candidates(self._rated, vectors, seen, n, first_ratings)

    @cached_property
    def _latest_first_rating(self) -> int:
        return int(self.model.first_rated_at[self.model.rated].max(initial=0))

    def with_index(self, config: IndexConfig) -> "Retriever":
        """The same with an index, built here."""
        vectors = self.item_vectors[self.model.rated]
        return replace(self, index=build_index(vectors, self.model.rated_ids, config))

    @cached_property
    def _rated(self) -> "_Part":
        rated = self.model.rated
        index = ExactSearch(vectors=self.item_vectors[rated]) if self.index is None else self.index
        return _Part(searched=index, item_idx=rated)

    @cached_property
    def _new(self) -> "_Part":
        new = self.model.new
        exact = IndexConfig(flat_until=max(len(new), IndexConfig().flat_until))
        index = build_index(self.item_vectors[new], self.model.catalogue.item_ids[new], exact)
        return _Part(searched=index, item_idx=new)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Search over some items of the catalogue; results are their item_idx."""

    searched: Searchable
    item_idx: Int64s  # (n,) of its positions

    @property
    def n_items(self) -> int:
        return self.searched.n_items

    def search(self, queries: Float32s, k: int) -> tuple[Int64s, Float32s]:
        found, scores = self.searched.search(queries, k)
        return np.where(found >= 0, self.item_idx[found], -1), scores


def find_candidates(
    index: Searchable, user_vectors: Float32s, users: Histories, n: int, first_ratings: FirstRatings | None = None
) -> Candidates:
    """The n best unseen items of each user, best first.

    Args:
        index: its positions are item_idx.
        user_vectors: (n_users, d).
        users: items that are no candidates.
        n: candidates per user.
        first_ratings: if given, items without a rating before the request are no candidates either.
    """
    n_items = users.n_items
    item_idx = np.full((users.n_users, n), -1, dtype=np.int64)
    scores = np.full((users.n_users, n), -np.inf, dtype=np.float32)
    # Users with similar history lengths share a batch: each search fetches as many extra items as the longest history.
    order = np.argsort(users.lengths, kind="stable")
    for start in range(0, users.n_users, QUERIES_AT_ONCE):
        rows = order[start : start + QUERIES_AT_ONCE]
        most_hidden = int(users.lengths[rows].max()) + (
            0 if first_ratings is None else first_ratings.max_not_yet_rated(rows)
        )
        found, found_scores = index.search(user_vectors[rows], min(index.n_items, n + most_hidden))
        for row, items, values in zip(rows, found, found_scores, strict=True):
            is_hidden = (
                np.zeros(n_items, dtype=np.bool_) if first_ratings is None else first_ratings.is_not_yet_rated(row)
            )
            is_hidden[users.item_idx[users.offsets[row] : users.offsets[row + 1]]] = True
            kept = np.flatnonzero((items >= 0) & ~is_hidden[items])[:n]
            item_idx[row, : len(kept)], scores[row, : len(kept)] = items[kept], values[kept]
    return Candidates(item_idx=item_idx, scores=scores)


def _joined(first: Candidates, second: Candidates) -> Candidates:
    """Each user's first candidates, then the second ones; padding last."""
    item_idx = np.concatenate([first.item_idx, second.item_idx], axis=1)
    scores = np.concatenate([first.scores, second.scores], axis=1)
    order = np.argsort(item_idx < 0, axis=1, kind="stable")
    return Candidates(
        item_idx=np.take_along_axis(item_idx, order, axis=1), scores=np.take_along_axis(scores, order, axis=1)
    )
