"""Accuracy of ranked lists: one number per user.

Every metric reads the same two arrays, made by `ranked_lists`: `hits` bool (n_users, k), whether the item at each rank
is relevant, and `n_relevant` int (n_users,), the number of the user's relevant items. A metric "at k" reads all k
columns, so cut `hits` first. All values are in [0, 1].

Edges, the same for every metric: a user without relevant items is NaN and leaves the mean; a user with relevant items
and an empty list scores 0 and stays in it; a list that ends before k has no hits after its end. Definitions agree with
trec_eval, with the one exception named at `average_precision_at_k`. Averages and intervals are in `uncertainty`.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Int64s
from recsys_core.metrics.ranked_lists import Hits, PerUser


def recall_at_k(hits: Hits, n_relevant: Int64s) -> PerUser:
    """Recall: the share of a user's relevant items in the list.

    recall@k = hits in the first k / n_relevant. It cannot reach 1 where n_relevant > k.

    Returns:
        (n_users,) in [0, 1]; NaN for users without relevant items.

    Source: Manning, Raghavan & Schütze (2008), Introduction to Information Retrieval, section 8.3.

    >>> recall_at_k(np.array([[True, False, True]]), np.array([4]))
    array([0.5])
    """
    found: Int64s = hits.sum(axis=1)
    return found / _or_nan(n_relevant)


def hit_rate_at_k(hits: Hits, n_relevant: Int64s) -> PerUser:
    """Hit rate, also called success: 1 where the list holds at least one relevant item, else 0.

    Returns:
        (n_users,) 0 or 1; NaN for users without relevant items.

    Source: Karypis (2001), doi:10.1145/502585.502627.

    >>> hit_rate_at_k(np.array([[False, True], [False, False]]), np.array([3, 1]))
    array([1., 0.])
    """
    return _defined(hits.any(axis=1).astype(np.float64), n_relevant)


def reciprocal_rank_at_k(hits: Hits, n_relevant: Int64s) -> PerUser:
    """Reciprocal rank: 1 / rank of the first hit, 0 without one. Its mean over users is the MRR.

    Returns:
        (n_users,) in [0, 1]; NaN for users without relevant items.

    Source: Voorhees (1999), The TREC-8 Question Answering Track Report.

    >>> reciprocal_rank_at_k(np.array([[False, True, True]]), np.array([2]))
    array([0.5])
    """
    first = hits.argmax(axis=1)  # (n_users,) 0 also where nothing hits, hence the product below
    return _defined(hits.any(axis=1) / (first + 1), n_relevant)


def average_precision_at_k(
    hits: Hits, n_relevant: Int64s, *, denominator: Literal["reachable", "all"] = "reachable"
) -> PerUser:
    """Average precision: the precision at the rank of each hit, averaged over the relevant items.

    AP@k = sum over the ranks r <= k that hit of (hits up to r / r), divided by
    - "reachable", ours: min(n_relevant, k), so that the best possible list scores 1 whatever k is;
    - "all": n_relevant, as trec_eval's `map_cut_k` has it; a user with more than k relevant items cannot reach 1.
    The two differ only for users with more than k relevant items. The mean over users is MAP@k.

    Returns:
        (n_users,) in [0, 1]; NaN for users without relevant items.

    Source: Manning, Raghavan & Schütze (2008), Introduction to Information Retrieval, section 8.4.

    >>> average_precision_at_k(np.array([[True, False, True]]), np.array([5])).round(4)
    array([0.5556])
    >>> average_precision_at_k(np.array([[True, False, True]]), np.array([5]), denominator="all").round(4)
    array([0.3333])
    """
    k = hits.shape[1]
    precision = hits.cumsum(axis=1) / np.arange(1, k + 1)  # (n_users, k)
    to_find = np.minimum(n_relevant, k) if denominator == "reachable" else n_relevant
    total: PerUser = (precision * hits).sum(axis=1)
    return total / _or_nan(to_find)


def ndcg_at_k(hits: Hits, n_relevant: Int64s) -> PerUser:
    """Normalised discounted cumulative gain: the gain of each list relative to the best order.

    DCG sums 1 / log2(rank + 1) over the ranks that hit. Dividing by the DCG of the best possible list of that length
    makes users with few and with many relevant items comparable. The best list holds *all* of the user's relevant
    items, also those that an earlier stage failed to propose.

    Returns:
        (n_users,) in [0, 1]; NaN for users without relevant items.

    Source: Järvelin & Kekäläinen (2002), doi:10.1145/582415.582418, with binary gain.

    >>> ndcg_at_k(np.array([[True, False, True]]), np.array([2])).round(4)
    array([0.9197])
    """
    k = hits.shape[1]
    discount = _discount(k)
    best: PerUser = np.concatenate([[np.nan], np.cumsum(discount)])  # (k + 1,) by n_relevant
    return _discounted(hits, discount) / best[np.minimum(n_relevant, k)]


def _discount(k: int) -> npt.NDArray[np.float64]:
    discount: npt.NDArray[np.float64] = 1 / np.log2(np.arange(2, k + 2))  # (k,) rank 1 counts fully, later ranks less
    return discount


def _discounted(hits: Hits, discount: npt.NDArray[np.float64]) -> PerUser:
    """(n_users,) discounted sums, added in the order of the ranks as the best possible sum is.

    So a perfect list is exactly 1, and a user's value does not depend on the rows beside it: a matrix product rounds
    the last bit by its blocks of rows.
    """
    return np.cumsum(hits * discount, axis=1)[:, -1]


def _or_nan(n_relevant: Int64s) -> PerUser:
    """The counts as divisors: NaN instead of 0, so that the quotient is undefined and not infinite."""
    return np.where(n_relevant > 0, n_relevant, np.nan)


def _defined(values: npt.ArrayLike, n_relevant: Int64s) -> PerUser:
    return np.where(n_relevant > 0, values, np.nan)
