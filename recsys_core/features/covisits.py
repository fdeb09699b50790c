"""How often people rate a candidate soon after, or soon before, what the user rated last."""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys_core.data.histories import Histories
from recsys_core.features.associations import N_RECENT

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]


def covisit_features(
    users: Histories, candidates: Int64s, following: sp.csr_array, preceding: sp.csr_array
) -> dict[str, Float32s]:
    """The co-visitation features of the contract, each (n_users, n_candidates); NaN for an empty history.

    Args:
        users: histories before the request.
        candidates: (n_users, n_candidates) item_idx; values where it is -1 are arbitrary.
        following: (n_items, n_items) lift of the column soon after the row.
        preceding: (n_items, n_items) lift of the column soon before the row.
    """
    recent = users.matrix((users.from_end <= N_RECENT).astype(np.float32))
    n = np.minimum(users.lengths, N_RECENT).astype(np.float32)[:, None]

    def mean_lift(lifts: sp.csr_array) -> Float32s:
        total = (recent @ lifts).toarray()  # (n_users, n_items): users come in batches
        mean = np.take_along_axis(total, np.maximum(candidates, 0), axis=1) / np.where(n > 0, n, np.float32(np.nan))
        logs: Float32s = np.log1p(mean).astype(np.float32)
        return logs

    return {"pair_next_lift": mean_lift(following), "pair_before_lift": mean_lift(preceding)}
