"""Which recommended items were relevant: ranked lists meet what was held out.

Here lists become the `hits` and `n_relevant` that every accuracy metric reads; the formulas are in `ranking`.

Ranked lists are int64 (n_users, k), best first, with -1 where a list is shorter than k; each item stands in a list at
most once. Relevant items are `ItemSets` with one row for the same user; one outside the catalogue is -1 there: nothing
can hit it, but it was there to be found, so it counts in `n_relevant`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_core.errors import DataError

Hits = npt.NDArray[np.bool_]
"""(n_users, k): whether the item at each rank is relevant; False where the list has ended."""

Counts = npt.NDArray[np.int64]
"""(n_users,) or (n_items,): how many."""

PerUser = npt.NDArray[np.float64]
"""(n_users,): one value per user; NaN where it is undefined."""


RankedLists = npt.NDArray[np.int64]
"""(n_users, k): items, best first; -1 where the list has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSets:
    """A set of items for each of some users: row u owns `items[offsets[u]:offsets[u + 1]]`, in any order."""

    offsets: Counts  # (n_users + 1,)
    items: Counts  # (n_pairs,) item numbers, none twice in one row; -1 for each item outside the catalogue

    @property
    def n_users(self) -> int:
        """How many users there are, those with an empty set included."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> Counts:
        """(n_users,) items per user: the `n_relevant` of the metrics."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Counts:
        """(n_pairs,) the user row that owns each item."""
        return np.repeat(np.arange(self.n_users), self.counts)


def sets_of(sets: Sequence[Sequence[int]]) -> ItemSets:
    """Item sets from one plain sequence per user: for tests, notebooks and small worlds.

    >>> sets_of([[4, 2], [], [7]]).counts
    array([2, 0, 1])
    """
    offsets = np.cumsum([0, *(len(items) for items in sets)], dtype=np.int64)
    return ItemSets(offsets=offsets, items=np.array([item for items in sets for item in items], dtype=np.int64))


def hits_of(ranked: RankedLists, relevant: ItemSets) -> Hits:
    """Whether each recommended item is one of its user's relevant items.

    Items past the end of a list (-1) never hit. A metric "at k" reads as many ranks as `hits` has columns, so
    `hits_of(ranked, relevant)[:, :10]` serves the metrics at 10.

    Raises:
        DataError: the two disagree about the number of users, or a list repeats an item (it would hit twice).

    >>> hits_of(np.array([[5, 2, 9], [1, -1, -1]]), sets_of([[2, 9], [3]]))
    array([[False,  True,  True],
           [False, False, False]])
    """
    _check(ranked, relevant)
    keys, wanted = _keys(ranked, relevant)
    return np.isin(keys, wanted) & (ranked >= 0)


def lists_for(user_ids: Counts, listed_ids: Counts, ranked: RankedLists) -> RankedLists:
    """One list for every user asked about, in the order asked; users without a list get an empty one (all -1).

    This is the policy for missing users. An empty list hits nothing, so such a user scores 0 and stays in the
    denominator: a model cannot improve its mean by staying silent on difficult users. Lists of others are dropped.

    Args:
        user_ids: (n_users,) everyone who is to be counted.
        listed_ids: (n_lists,) whose list each row of `ranked` is, each once.
        ranked: (n_lists, k).

    >>> lists_for(np.array([1, 2]), np.array([2, 8]), np.array([[5, 6], [7, 9]]))
    array([[-1, -1],
           [ 5,  6]])
    """
    with_an_empty_list = np.vstack([ranked, np.full((1, ranked.shape[1]), -1)])  # (n_lists + 1, k)
    order = np.argsort(listed_ids)
    at = np.searchsorted(listed_ids, user_ids, sorter=order)
    found = np.append(order, len(order))[at]
    listed = np.append(listed_ids, -1)[found] == user_ids
    return with_an_empty_list[np.where(listed, found, len(ranked))]


def refuse_repeats(ranked: RankedLists) -> None:
    """Nothing where each list holds each item at most once.

    Raises:
        DataError: an item stands twice in a list.
    """
    in_order = np.sort(ranked, axis=1)
    if np.any((in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)):
        raise DataError("an item stands twice in a ranked list: each item may be recommended once")


def _keys(ranked: RankedLists, relevant: ItemSets) -> tuple[Counts, Counts]:
    """One number per (user, item), so that a single sorted look-up serves all users.

    Ids come from outside and may be as large as int64 allows, so that `row * largest id` would overflow and users would
    meet each other's items. Items are therefore numbered first; a listed item that is relevant to nobody shares one
    number that no relevant item has.
    """
    known = np.unique(relevant.items)
    at = np.searchsorted(known, ranked)
    listed = np.where(np.append(known, -1)[at] == ranked, at, len(known))
    width = len(known) + 1
    wanted = np.searchsorted(known, relevant.items)
    return np.arange(len(ranked))[:, None] * width + listed, relevant.rows * width + wanted


def _check(ranked: RankedLists, relevant: ItemSets) -> None:
    if len(ranked) != relevant.n_users:
        raise DataError(
            f"{len(ranked)} ranked lists for {relevant.n_users} users with relevant items: "
            "give each of these users one row, empty lists included (see lists_for)"
        )
    refuse_repeats(ranked)
