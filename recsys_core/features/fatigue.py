"""Features of fatigue: recent impressions of the candidate without an answer of the user."""

import numpy as np

from recsys_core.arrays import Float32s
from recsys_core.features.exposures import FATIGUE_S
from recsys_core.features.feature import feature
from recsys_core.features.pairs import Pairs

EXPOSURES = (
    "impression_outcomes.user_id", "impression_outcomes.item_id", "impression_outcomes.shown_at",
    "implicit_feedback.timestamp", "ratings.timestamp",
)  # fmt: skip

LONG_AGO = np.iinfo(np.int64).min


@feature(entity="user-item", unit="requests", sources=EXPOSURES, default=0.0)
def pair_shown_unclicked(pairs: Pairs) -> Float32s:
    """Requests of the user in the 30 days before this one that showed the item, since it was last clicked or rated."""
    counts = np.zeros(pairs.item_idx.shape, dtype=np.float32)
    exposures, histories, n_items = pairs.exposures, pairs.users.histories, len(pairs.items.n_ratings)
    if exposures is None:
        return counts
    for user in np.flatnonzero(np.diff(exposures.shown.offsets)).tolist():
        answered_at = np.full(n_items, LONG_AGO)
        rated = slice(histories.offsets[user], histories.offsets[user + 1])
        answered_at[histories.item_idx[rated]] = histories.timestamps[rated]
        clicked, clicked_at = exposures.clicked.of(user)
        np.maximum.at(answered_at, clicked, clicked_at)
        shown, shown_at = exposures.shown.of(user)
        # An answer in the second of the slot is one to the slot.
        is_open = (shown_at > answered_at[shown]) & (shown_at >= exposures.requested_at[user] - FATIGUE_S)
        counts[user] = np.bincount(shown[is_open], minlength=n_items)[pairs.item_idx[user]]
    return counts
