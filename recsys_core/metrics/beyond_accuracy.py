"""Properties of lists other than accuracy: coverage, exposure, novelty, diversity, and genre calibration.

Read these beside accuracy, never alone: random lists win most of them. Every function takes ranked lists (see
`ranked_lists`). Genre calibration compares the mix of genres in a list with that in its user's history: each is turned
into shares of classes (`class_shares`), then compared (`miscalibration`).

Edges: a place after the end of a list (-1) is not counted; a user with an empty list is NaN.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from recsys_core.arrays import Int64s
from recsys_core.metrics.ranked_lists import ItemSets, PerUser, RankedLists

ItemClasses = npt.NDArray[np.float32]
"""(n_items, n_classes): how much of an item belongs to each class, such as 0 or 1 per genre."""


def catalogue_coverage(ranked: RankedLists, n_items: int) -> float:
    """Share of the catalogue that appears in at least one user's list.

    It grows with the number of users and with k: compare only at equal numbers of both. NaN for an empty catalogue.

    Source: Ge, Delgado-Battenfeld & Jannach (2010), doi:10.1145/1864708.1864761.

    >>> catalogue_coverage(np.array([[0, 1], [1, -1]]), n_items=4)
    0.5
    """
    return float((_exposure(ranked, n_items) > 0).mean()) if n_items else np.nan


def gini_of_exposure(ranked: RankedLists, n_items: int) -> float:
    """How unevenly the places in the lists are shared among all items of the catalogue.

    With the exposures e sorted upwards, G = sum_i (2 i - n - 1) e_i / (n sum e), i = 1..n.

    Returns:
        0 where all items are shown equally often, (n - 1) / n where one item takes every place; NaN if none is shown.

    Source: Fleder & Hosanagar (2009), doi:10.1287/mnsc.1080.0974.

    >>> gini_of_exposure(np.array([[0], [0]]), n_items=4)
    0.75
    """
    exposure = np.sort(_exposure(ranked, n_items))
    total = exposure.sum()
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(weights @ exposure / (n_items * total)) if total else np.nan


def novelty(ranked: RankedLists, item_counts: Int64s, n_users: int) -> PerUser:
    """Mean self-information, in bits, of the recommended items: high where few users rated them.

    -log2(share), where share is the part of the training users who rated the item. An item without ratings would be
    infinitely novel: it counts as if one user had rated it.

    Args:
        ranked: (n_users, k).
        item_counts: (n_items,) training users who rated each item.
        n_users: training users in all.

    Returns:
        (n_users,) in 0..log2(n_users).

    Source: Zhou et al. (2010), doi:10.1073/pnas.1000488107.

    >>> novelty(np.array([[0, 1], [1, -1]]), item_counts=np.array([8, 1]), n_users=8)
    array([1.5, 3. ])
    """
    return mean_over_list(ranked, -np.log2(np.maximum(item_counts, 1) / n_users))


def popularity_percentile(ranked: RankedLists, item_counts: Int64s) -> PerUser:
    """Mean popularity percentile of the recommended items: near 1 for the hits of the day, near 0 for the tail.

    An item's percentile is (rank - 1/2) / n_items by rising training count; tied items share their mean rank.

    Returns:
        (n_users,) in (0, 1); lists drawn at random give 0.5.

    Source: Abdollahpouri, Burke & Mobasher (2019), arXiv:1901.07555, use the mean count; a percentile is bounded and
    compares across data sets.

    >>> popularity_percentile(np.array([[2, -1], [0, 1]]), item_counts=np.array([5, 5, 90, 7]))
    array([0.875, 0.25 ])
    """
    ranks: PerUser = rankdata(item_counts)
    return mean_over_list(ranked, (ranks - 0.5) / len(item_counts))


def intra_list_diversity(
    ranked: RankedLists, item_classes: ItemClasses, *, similarity: Literal["jaccard", "cosine"] = "jaccard"
) -> PerUser:
    """How different the items of one list are: 1 - the mean similarity of all pairs.

    Jaccard: |shared genres| / |genres of either|. Cosine: x.y / (|x| |y|). An item without genres is similar to none,
    for nothing is known to be shared. Memory: n_users * k * k floats; pass users in batches where k is large.

    Args:
        ranked: (n_users, k).
        item_classes: (n_items, n_classes), 0 or 1 for Jaccard, at least 0 for cosine.
        similarity: of two items.

    Returns:
        (n_users,) in [0, 1]; NaN for lists of fewer than two items, which hold no pair.

    Source: Ziegler, McNee, Konstan & Lausen (2005), doi:10.1145/1060745.1060754.

    >>> genres = np.array([[1, 1], [1, 0], [0, 1]], dtype=np.float32)
    >>> intra_list_diversity(np.array([[0, 1], [1, 2], [0, -1]]), genres)
    array([0.5, 1. , nan])
    """
    listed = ranked >= 0
    classes = np.where(listed[:, :, None], item_classes[ranked], 0)  # (n_users, k, n_classes)
    shared = classes @ classes.transpose(0, 2, 1)  # (n_users, k, k)
    own = np.einsum("ukc,ukc->uk", classes, classes)  # (n_users, k)
    if similarity == "jaccard":
        divisor = own[:, :, None] + own[:, None, :] - shared
    else:
        divisor = np.sqrt(own[:, :, None] * own[:, None, :])
    alike = np.divide(shared, divisor, out=np.zeros_like(shared), where=divisor > 0)
    alike[:, np.arange(ranked.shape[1]), np.arange(ranked.shape[1])] = 0  # an item and itself are no pair
    total: PerUser = alike.sum(axis=(1, 2), dtype=np.float64)
    n_listed = listed.sum(axis=1)
    pairs = n_listed * (n_listed - 1)  # ordered pairs, as the sums above count each pair twice
    return 1 - total / np.where(pairs > 0, pairs, np.nan)


def mean_over_list(ranked: RankedLists, item_values: npt.NDArray[np.float64]) -> PerUser:
    """Mean of a value of the items over each user's list; NaN for an empty list.

    >>> mean_over_list(np.array([[0, 1], [1, -1], [-1, -1]]), np.array([1.0, 2.0]))
    array([1.5, 2. , nan])
    """
    listed = ranked >= 0
    total: PerUser = np.where(listed, item_values[ranked], 0).sum(axis=1)
    n_listed = listed.sum(axis=1)
    return total / np.where(n_listed > 0, n_listed, np.nan)


def _exposure(ranked: RankedLists, n_items: int) -> Int64s:
    """(n_items,) number of lists with each item."""
    return np.bincount(ranked[ranked >= 0], minlength=n_items)


ClassShares = npt.NDArray[np.float64]
"""(n_users, n_classes): shares that sum to 1; NaN for a user of whom no class is known."""


def listed_sets(ranked: RankedLists) -> ItemSets:
    """The items of each ranked list as sets, for `class_shares`.

    >>> listed_sets(np.array([[4, -1], [2, 3]])).offsets
    array([0, 1, 3])
    """
    listed = ranked >= 0
    offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    return ItemSets(offsets=offsets.astype(np.int64), items=ranked[listed])


def class_shares(sets: ItemSets, item_classes: ItemClasses) -> ClassShares:
    """The share of each class among each user's items.

    Each item counts as one, split over its classes: p(c | u) = mean over u's items i of p(c | i). Items without a class
    and items outside the catalogue are left out.

    Args:
        sets: n_users sets of items, such as histories or `listed_sets`.
        item_classes: (n_items, n_classes), at least 0.

    Source: Steck (2018), doi:10.1145/3240323.3240372, equations 2 and 3 with equal weights.

    >>> from recsys_core.metrics.ranked_lists import sets_of
    >>> class_shares(sets_of([[0, 1], []]), np.array([[1, 1], [1, 0]], dtype=np.float32))
    array([[0.75, 0.25],
           [ nan,  nan]])
    """
    size = item_classes.sum(axis=1, keepdims=True, dtype=np.float64)  # (n_items, 1)
    of_item = np.divide(item_classes, size, out=np.zeros(item_classes.shape), where=size > 0)
    totals = np.zeros((sets.n_users, item_classes.shape[1]))
    known = sets.items >= 0
    np.add.at(totals, sets.rows[known], of_item[sets.items[known]])
    n_known = totals.sum(axis=1, keepdims=True)
    return totals / np.where(n_known > 0, n_known, np.nan)


def miscalibration(taste: ClassShares, shown: ClassShares, *, smoothing: float = 0.01) -> PerUser:
    """Divergence of each list from its user's taste: KL(p || q~), in nats; 0 is perfectly calibrated.

    p is the taste and q~ = (1 - a) q + a p the smoothed list, without which one class that is missing from the list
    would make the divergence infinite. KL = sum over classes of p ln(p / q~), where 0 ln 0 = 0.

    Args:
        taste: (n_users, n_classes) of the history.
        shown: (n_users, n_classes) of the list.
        smoothing: a, in (0, 1).

    Returns:
        (n_users,) in [0, -ln a]; NaN where the taste or the list is unknown.

    Source: Steck (2018), doi:10.1145/3240323.3240372, equations 4 and 5, with his a = 0.01.

    >>> taste = np.array([[0.5, 0.5], [0.7, 0.3]])
    >>> miscalibration(taste, np.array([[0.5, 0.5], [1.0, 0.0]])).round(3)
    array([0.   , 1.134])
    """
    smoothed = (1 - smoothing) * shown + smoothing * taste
    ratio = np.divide(taste, smoothed, out=np.ones_like(taste), where=taste != 0)  # NaN passes through
    divergence: PerUser = (taste * np.log(ratio)).sum(axis=1)
    return np.maximum(divergence, 0.0)  # rounding may leave -1e-17 where the two are equal
