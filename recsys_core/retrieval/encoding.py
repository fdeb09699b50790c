"""Users and items as the one vector each that is searched: the trained half, the closed form, the trend, the bias.

A score is the dot product: trained half . trained half + weight x closed form . closed form + trend + 1 x bias.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_core.data.histories import Histories
from recsys_core.retrieval.training import FittedTower, encode_items

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Where each part of a vector lies."""

    trained: slice
    closed_form: slice
    trend: slice
    bias: slice


def parts_of(tower: FittedTower) -> Parts:
    """The layout of the vectors of a tower."""
    ends = np.cumsum([tower.model.dim, tower.closed_form.rank, tower.trend.n_bins]).tolist()
    return Parts(
        trained=slice(0, ends[0]),
        closed_form=slice(ends[0], ends[1]),
        trend=slice(ends[1], ends[2]),
        bias=slice(ends[2], ends[2] + 1),
    )


def user_vectors(tower: FittedTower, users: Histories) -> Float32s:
    """(n_users, dim + rank + bins + 1) of histories, as at serving time."""
    trained = tower.user_encoder.encode(users)  # (n_users, dim + 1), the last entry 1
    closed = tower.closed_form.encode_users(users)  # (n_users, rank)
    return np.concatenate([trained[:, :-1], closed, tower.trend.encode_users(users), trained[:, -1:]], axis=1)


def rating_vectors(tower: FittedTower, users: Histories) -> Float32s:
    """(n_ratings, dim + rank + bins + 1) what each rating of the histories adds to the vector of its user.

    What no single rating adds is left out: what all users share, the trend of the moment, and the 1 that meets the
    bias.
    """
    trained = tower.user_encoder.encode_ratings(users)  # (n_ratings, dim)
    closed = tower.closed_form.encode_ratings(users)  # (n_ratings, rank)
    shared = np.zeros((len(trained), tower.trend.n_bins + 1), dtype=np.float32)
    return np.concatenate([trained, closed, shared], axis=1)


def item_vectors(tower: FittedTower) -> Float32s:
    """(n_items, dim + rank + bins + 1); the weights are in here, so that user vectors need not know them."""
    trained = encode_items(tower.model)  # (n_items, dim + 1), the last entry the bias
    closed = tower.closed_form.offered * np.float32(tower.closed_form_weight)  # (n_items, rank)
    return np.concatenate([trained[:, :-1], closed, tower.trend.offered, trained[:, -1:]], axis=1)
