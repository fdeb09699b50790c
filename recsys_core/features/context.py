"""Features of the request alone: hour, days since the last rating.

Times are UTC: a server with a local time zone would shift them all.
"""

import numpy as np

from recsys_core.arrays import Float32s
from recsys_core.days import DAY_S
from recsys_core.features.feature import LONGEST_DAYS, feature
from recsys_core.features.state import RequestBatch


@feature(entity="context", unit="hour", high=23.0, sources=("ratings.timestamp",))
def context_hour(requests: RequestBatch) -> Float32s:
    """Hour of the day of the request, UTC."""
    return (requests.requested_at % DAY_S // 3_600).astype(np.float32)


@feature(entity="context", unit="days", high=LONGEST_DAYS, sources=("ratings.timestamp",), may_be_missing=True)
def context_days_since_last(requests: RequestBatch) -> Float32s:
    """Days since the user's latest rating: within a session, or after years; missing for an empty history."""
    histories = requests.users.histories
    if not len(histories.timestamps):
        return np.full(histories.n_users, np.nan, dtype=np.float32)
    latest = histories.timestamps[np.maximum(histories.offsets[1:] - 1, 0)]
    days = (requests.requested_at - latest) / DAY_S
    return np.where(histories.lengths > 0, days, np.nan).astype(np.float32)
