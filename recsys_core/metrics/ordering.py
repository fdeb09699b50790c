"""From scores to lists: the one place where ties are broken.

Policy for ties: equal scores are ordered by a hash of the item. The order is the same in every run (deterministic) and
says nothing about the items (without favour). Item order would be neither harmless nor honest: ids grow with release
date and data sets are sorted by them, so a model that scores everything alike would borrow their information and look
better than chance.
"""

import numpy as np
import numpy.typing as npt

from recsys_core.errors import DataError
from recsys_core.metrics.relevance import RankedLists

Scores = npt.NDArray[np.float32]
"""(n_users, n_items): what orders items; -inf for an item that must not be listed. Never NaN."""

TieBreak = npt.NDArray[np.int64]
"""(n_items,): a permutation of 0..n_items - 1; of two items with one score, the one with the lower number leads."""

TIE_SEED = 20_161_018
"""Fixed for the whole project, so that two models with the same scores give the same lists."""


def tie_break_order(item_ids: npt.NDArray[np.int64], seed: int = TIE_SEED) -> TieBreak:
    """Each item's place in the hashed order that settles ties.

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

    The outcome depends on scores and `tie_break` alone: permuting the items (and `tie_break` with them) or the users
    permutes the lists and changes nothing else.

    Raises:
        DataError: a score is NaN.

    >>> top_k(np.array([[0.5, 0.9, 0.5, -np.inf]], dtype=np.float32), k=4, tie_break=np.array([2, 3, 0, 1]))
    array([[ 1,  2,  0, -1]])
    """
    if np.isnan(scores).any():
        raise DataError("scores hold NaN, which has no place in an order: find the model that made it")
    width = min(k, scores.shape[1])
    keys = sort_keys(scores, tie_break)
    best = np.argpartition(keys, max(width - 1, 0), axis=1)[:, :width] if width else keys  # (n_users, width) unsorted
    best = np.take_along_axis(best, np.take_along_axis(keys, best, axis=1).argsort(axis=1), axis=1)
    ranked = np.full((len(scores), k), -1, dtype=np.int64)
    ranked[:, :width] = np.where(np.take_along_axis(scores, best, axis=1) > -np.inf, best, -1)
    return ranked


def sort_keys(scores: Scores, tie_break: TieBreak) -> npt.NDArray[np.int64]:
    """Integers of the shape of the scores, lowest for the best item, no two alike in a row.

    The upper 32 bits hold the score, the lower 32 the tie-break. One partial sort of integers then gives the exact
    answer; a partial sort of the scores themselves would leave open which of the tied items fall before the cut.
    """
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.int32)  # adding 0 makes -0 and 0 the same bits
    rising = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))  # IEEE 754: negative floats are ordered backwards, turn them
    return (~rising).astype(np.int64) << 32 | tie_break
