"""Calibration of a list: how well it mirrors the mix of genres in its user's history.

A user's taste and a user's list are each turned into shares of classes (`class_shares`), then compared
(`miscalibration`).
"""

import numpy as np
import numpy.typing as npt

from recsys_core.metrics.beyond_accuracy import ItemClasses
from recsys_core.metrics.relevance import ItemSets, PerUser, RankedLists

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
    """What share of each user's items belongs to each class.

    Each item counts as one, split over its classes: p(c | u) = mean over u's items i of p(c | i). Items without a class
    and items outside the catalogue are left out.

    Args:
        sets: n_users sets of items, such as histories or `listed_sets`.
        item_classes: (n_items, n_classes), at least 0.

    Source: Steck (2018), doi:10.1145/3240323.3240372, equations 2 and 3 with equal weights.

    >>> from recsys_core.metrics.relevance import sets_of
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
    """How far each list strays from its user's taste: KL(p || q~), in nats; 0 is perfectly calibrated.

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
