"""User vectors -> the items that ranking looks at, without what the user has seen already.

Items that somebody has rated compete by score. An item that nobody has rated has no chance there: most of a score is
what ratings say. So a declared share of the places is kept for new items, which compete among themselves by what the
item tower has learned of genres and years.

There is one filter of seen items in the project, and it is here: training examples, evaluation and serving share it. It
removes what is in the histories that it is given, and `seen_at` says which ratings count as seen at a request.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from recsys_core.data.histories import Histories
from recsys_core.data.schemas import LIKED
from recsys_core.days import DAY_S
from recsys_core.retrieval.config import IndexConfig
from recsys_core.retrieval.encoding import item_vectors
from recsys_core.retrieval.index import BATCH, ItemIndex, build_index
from recsys_core.retrieval.training import FittedTower

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Search = Callable[[Float32s, int], tuple[Int64s, Float32s]]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Each user's candidates, (n_users, n_candidates): rated items, best first, then new ones, best first.

    item_idx is -1 and the score -inf where there are fewer.
    """

    item_idx: Int64s
    scores: Float32s


def seen_at(users: Histories, requested_at: Int64s, rewatch_after_days: int | None) -> Histories:
    """The ratings whose items are no candidates at a request; the histories themselves where that is all of them.

    Args:
        users: all that is known of the users at the request.
        requested_at: (n_users,) seconds UTC.
        rewatch_after_days: an item whose like is at least this old may be a candidate again; None: never. An item that
            was not liked never may.
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
class Births:
    """When items were rated for the first time, beside when somebody asks: what did not exist then is no candidate."""

    first_rated_at: Int64s  # (n_items,) seconds UTC
    requested_at: Int64s  # (n_users,) seconds UTC

    def most_unborn(self, rows: Int64s) -> int:
        """How many items the earliest of some requests must leave out."""
        return int((self.first_rated_at >= self.requested_at[rows].min()).sum())

    def is_unborn(self, row: int) -> Bools:
        """(n_items,) whether an item had no rating strictly before the request."""
        unborn: Bools = self.first_rated_at >= self.requested_at[row]
        return unborn


@dataclass(frozen=True, kw_only=True)
class Retriever:
    """A tower's items, ready to be searched.

    Attributes:
        tower: whose items they are.
        item_vectors: (n_items, d) of all of them.
        index: of the rated items, in their order; None: the search is exact.
    """

    tower: FittedTower
    item_vectors: Float32s
    index: ItemIndex | None

    @classmethod
    def of(cls, tower: FittedTower, index: ItemIndex | None = None) -> "Retriever":
        """Make a tower's items ready."""
        return cls(tower=tower, item_vectors=item_vectors(tower), index=index)

    def candidates(self, vectors: Float32s, seen: Histories, requested_at: Int64s, n: int) -> Candidates:
        """The best items of each user: rated ones by score, and behind them new ones, in the places kept for those.

        Args:
            vectors: (n_users, d) of the users.
            seen: items that are no candidates, as `seen_at` gives them.
            requested_at: (n_users,) seconds UTC. An item whose first rating came later is no candidate, and a request
                from before the tower's `fit_end` gets no new items: what was new then is known by now.
            n: candidates per user, new ones included.
        """
        is_now = requested_at >= self.tower.fit_end
        n_new = min(int(self.tower.new_item_share * n), len(self.tower.new)) if is_now.any() else 0
        rated = self._rated(vectors, seen, requested_at, n - n_new)
        if not n_new:
            return rated
        new = find_candidates(self._new_index, vectors, seen, n_new, places=self.tower.new)
        new.item_idx[~is_now], new.scores[~is_now] = -1, -np.inf
        return _joined(rated, new)

    def _rated(self, vectors: Float32s, seen: Histories, requested_at: Int64s, n: int) -> Candidates:
        tower = self.tower
        is_past = len(requested_at) > 0 and int(requested_at.min()) <= self._last_birth
        births = Births(first_rated_at=tower.first_rated_at, requested_at=requested_at) if is_past else None
        if self.index is None:
            return exact_candidates(self.item_vectors[tower.rated], vectors, seen, n, births, places=tower.rated)
        return find_candidates(self.index, vectors, seen, n, births, places=tower.rated)

    @cached_property
    def _last_birth(self) -> int:
        return int(self.tower.first_rated_at[self.tower.rated].max(initial=0))

    @cached_property
    def _new_index(self) -> ItemIndex:
        new = self.tower.new
        exact = IndexConfig(flat_until=max(len(new), IndexConfig().flat_until))
        return build_index(self.item_vectors[new], self.tower.catalogue.item_ids[new], exact)


def find_candidates(  # what is searched, for whom, and what stays hidden
    index: ItemIndex,
    user_vectors: Float32s,
    users: Histories,
    n: int,
    births: Births | None = None,
    *,
    places: Int64s | None = None,
) -> Candidates:
    """The n best unseen items by the index; `places` are the item_idx of its positions, where they differ."""
    return _unseen(_placed(index.search, places), index.n_items, user_vectors, users, n, births)


def exact_candidates(  # as `find_candidates`
    item_vectors: Float32s,
    user_vectors: Float32s,
    users: Histories,
    n: int,
    births: Births | None = None,
    *,
    places: Int64s | None = None,
) -> Candidates:
    """The n best unseen items by plain matrix products: the yardstick, and the search of towers without an index."""

    def search(queries: Float32s, k: int) -> tuple[Int64s, Float32s]:
        scores = queries @ item_vectors.T
        best = _best(scores, k)
        return best, np.take_along_axis(scores, best, axis=1)

    return _unseen(_placed(search, places), len(item_vectors), user_vectors, users, n, births)


def _placed(search: Search, places: Int64s | None) -> Search:
    """The search with item_idx in place of the positions of what is searched."""
    if places is None:
        return search

    def placed(queries: Float32s, k: int) -> tuple[Int64s, Float32s]:
        found, scores = search(queries, k)
        return np.where(found >= 0, places[found], -1), scores

    return placed


def _joined(first: Candidates, second: Candidates) -> Candidates:
    """Each user's first candidates, then the second ones; gaps come last."""
    item_idx = np.concatenate([first.item_idx, second.item_idx], axis=1)
    scores = np.concatenate([first.scores, second.scores], axis=1)
    order = np.argsort(item_idx < 0, axis=1, kind="stable")
    return Candidates(
        item_idx=np.take_along_axis(item_idx, order, axis=1), scores=np.take_along_axis(scores, order, axis=1)
    )


def _best(scores: Float32s, k: int) -> Int64s:
    """(n_queries, k) columns of the k highest scores of each row; equal scores, also at the end, in column order.

    A plain argpartition picks among equals by k, so that one user's list would depend on who else is in the batch.
    """
    last = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]  # (n_queries, 1) the k-th best score
    above, level = scores > last, scores == last
    room = k - above.sum(axis=1, keepdims=True)
    columns = np.nonzero(above | (level & (np.cumsum(level, axis=1) <= room)))[1].reshape(len(scores), k)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _unseen(  # as its callers
    search: Search, n_searched: int, user_vectors: Float32s, users: Histories, n: int, births: Births | None
) -> Candidates:
    n_items = users.n_items
    item_idx = np.full((users.n_users, n), -1, dtype=np.int64)
    scores = np.full((users.n_users, n), -np.inf, dtype=np.float32)
    # Users of like history length share a batch, because each search must fetch as many extra as the longest is long.
    order = np.argsort(users.lengths, kind="stable")
    for start in range(0, users.n_users, BATCH):
        rows = order[start : start + BATCH]
        most_hidden = int(users.lengths[rows].max()) + (0 if births is None else births.most_unborn(rows))
        found, found_scores = search(user_vectors[rows], min(n_searched, n + most_hidden))
        for row, items, values in zip(rows, found, found_scores, strict=True):
            is_hidden = np.zeros(n_items, dtype=np.bool_) if births is None else births.is_unborn(row)
            is_hidden[users.item_idx[users.offsets[row] : users.offsets[row + 1]]] = True
            kept = np.flatnonzero((items >= 0) & ~is_hidden[items])[:n]
            item_idx[row, : len(kept)], scores[row, : len(kept)] = items[kept], values[kept]
    return Candidates(item_idx=item_idx, scores=scores)
