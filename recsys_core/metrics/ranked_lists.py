"""Scores -> ranked lists -> hits: the one place where ties are broken, and where lists meet the held-out items.

The metrics of accuracy read `hits` and `n_relevant`; their formulas are in `ranking`.

Ranked lists are int64 (n_users, k), best first, with -1 where a list is shorter than k. A list holds each item at most
once. Relevant items are `ItemSets` with one row for the same user. A relevant item outside the catalogue is -1: nothing
can hit it, but it was there to be found, so it counts in `n_relevant`.

Policy for ties: equal scores are ordered by a hash of the item. The order is the same in every run (deterministic) and
independent of the items' properties (without favour). The order of the catalogue would be neither harmless nor honest:
ids grow with release date and data sets are sorted by them, so a model that scores everything alike would borrow their
information and look better than chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Int64s
from recsys_core.errors import DataError

Hits = npt.NDArray[np.bool_]
"""(n_users, k): whether the item at each rank is relevant; False where the list has ended."""

PerUser = npt.NDArray[np.float64]
"""(n_users,): one value per user; NaN where it is undefined."""


RankedLists = npt.NDArray[np.int64]
"""(n_users, k): items, best first; -1 where the list has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSets:
    """A set of items for each of some users: row u owns `items[offsets[u]:offsets[u + 1]]`, in any order."""

    offsets: Int64s  # (n_users + 1,)
    items: Int64s  # (n_pairs,) item numbers, none twice in one row; -1 for each item outside the catalogue

    @property
    def n_users(self) -> int:
        """Number of users, those with an empty set included."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> Int64s:
        """(n_users,) items per user: the `n_relevant` of the metrics."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Int64s:
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


def lists_for(user_ids: Int64s, listed_ids: Int64s, ranked: RankedLists) -> RankedLists:
    """One list for every user asked about, in the order asked; users without a list get an empty one (all -1).

    This is the policy for missing users. An empty list hits nothing, so such a user scores 0 and stays in the
    denominator: a model cannot improve its mean by omitting difficult users. Lists of other users are dropped.

    Args:
        user_ids: (n_users,) all users who count.
        listed_ids: (n_lists,) the user of each row of `ranked`, each once.
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
    """Check that each list holds each item at most once.

    Raises:
        DataError: an item appears twice in a list.
    """
    in_order = np.sort(ranked, axis=1)
    if np.any((in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)):
        raise DataError("an item appears twice in a ranked list: each item may be recommended once")


def _keys(ranked: RankedLists, relevant: ItemSets) -> tuple[Int64s, Int64s]:
    """One number per (user, item), so that a single sorted look-up serves all users.

    Ids come from outside and may be as large as int64 allows, so that `row * largest id` could overflow and mix up the
    items of different users. Items are therefore numbered first; listed items that are relevant to no user share one
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


Scores = npt.NDArray[np.float32]
"""(n_users, n_items): higher is better; -inf for an item that must not be listed. Never NaN."""

TieBreak = npt.NDArray[np.int64]
"""(n_items,): a permutation of 0..n_items - 1; of items with equal scores, the one with the lowest number leads."""

TIE_SEED = 20_161_018
"""Fixed for the whole project, so that two models with the same scores give the same lists."""


def tie_break_order(item_ids: npt.NDArray[np.int64], seed: int = TIE_SEED) -> TieBreak:
    """Each item's place in the hashed order that breaks ties.

    Pass outside ids: an item then keeps its place among the others when the catalogue grows.

    Source: the hash is the finaliser of SplitMix64, Steele, Lea & Flood (2014), doi:10.1145/2714064.2660195.

    >>> tie_break_order(np.array([10, 20, 30, 40]))
    array([0, 2, 3, 1])
    """
    mixed = item_ids.astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    places = np.empty(len(item_ids), dtype=np.int64)
    places[np.argsort(mixed, kind="stable")] = np.arange(len(item_ids))
    return places


def top_k(scores: Scores, k: int, tie_break: TieBreak) -> RankedLists:
    """The k best items of each user, best first; -1 where fewer than k may be listed.

    The result depends on scores and `tie_break` alone: permuting the items (and `tie_break` with them) or the users
    permutes the lists and changes nothing else.

    Raises:
        DataError: a score is NaN.

    >>> top_k(np.array([[0.5, 0.9, 0.5, -np.inf]], dtype=np.float32), k=4, tie_break=np.array([2, 3, 0, 1]))
    array([[ 1,  2,  0, -1]])
    """
    if np.isnan(scores).any():
        raise DataError("scores contain NaN, which cannot be ordered: find the model that made it")
    width = min(k, scores.shape[1])
    keys = sort_keys(scores, tie_break)
    best = np.argpartition(keys, max(width - 1, 0), axis=1)[:, :width] if width else keys  # (n_users, width) unsorted
    best = np.take_along_axis(best, np.take_along_axis(keys, best, axis=1).argsort(axis=1), axis=1)
    ranked = np.full((len(scores), k), -1, dtype=np.int64)
    ranked[:, :width] = np.where(np.take_along_axis(scores, best, axis=1) > -np.inf, best, -1)
    return ranked


def sort_keys(scores: Scores, tie_break: TieBreak) -> npt.NDArray[np.int64]:
    """Integers of the shape of the scores, lowest for the best item, distinct within a row.

    The upper 32 bits hold the score, the lower 32 the tie-break. One partial sort of integers then gives the exact
    answer; a partial sort of the scores themselves would leave open which of the tied items fall before the cut.
    """
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.int32)  # adding 0 makes -0 and 0 the same bits
    rising = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))  # IEEE 754: negative floats are ordered backwards, turn them
    return (~rising).astype(np.int64) << 32 | tie_break
