"""The users who rated last, kept with their ratings: user-based nearest neighbours for the ranker.

User-based nearest neighbours (Resnick et al. 1994, doi:10.1145/192844.192905; Herlocker et al. 1999,
doi:10.1145/312624.312682). The factors of the other parts smooth over what few people have in common. People who
used the same site in the same months, and were shown the same lists, have much in common. So only the latest users are
kept, and later ones count more. The ranker reads what they liked as one feature.
"""

import numpy as np

from recsys_core.data.histories import Histories
from recsys_core.features.neighbours import Neighbours
from recsys_core.retrieval.ease import evidence

MOST_USERS = 2_000
"""Latest users kept: bounds size and time for any data set."""

LEAST_RATINGS = 5
"""Fewest ratings of a kept user."""

HALF_LIFE_S = 2 * 365 * 86_400
"""Seconds since a user's latest rating after which the user counts half."""


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
