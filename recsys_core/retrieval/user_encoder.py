"""The user tower without torch: the arithmetic of `TwoTower.users` on arrays, for answering.

Eager torch spends most of a single request on bookkeeping, and computes the vectors of all items anew each time. Here
they are computed once. One user alone and a thousand together get the same bits: each sum runs over the user's own
history, oldest first.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from recsys_core.data.histories import Histories
from recsys_core.retrieval.recency import recency
from recsys_core.retrieval.towers import TwoTower

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class UserEncoder:
    """What the user tower has learned."""

    rated: Float32s  # (n_items, dim) an item as part of a history
    rating_weight: Float32s  # (n_levels,) by half stars
    place_bias: Float32s  # (n_places,)
    age_bias: Float32s  # (n_ages,)
    everyone: Float32s  # (dim,) what all users share

    def encode(self, users: Histories) -> Float32s:
        """(n_users, dim + 1) user vectors, the last entry 1; an empty history gives what all users share."""
        weight, amount = self._weights(users)
        pooled = users.weighted_sums(weight, self.rated)  # (n_users, dim)
        vectors = pooled / amount[:, None] + self.everyone
        return np.concatenate([vectors, np.ones((users.n_users, 1), dtype=np.float32)], axis=1)

    def encode_ratings(self, users: Histories) -> Float32s:
        """(n_ratings, dim) what each rating adds to the vector of its user: these and `everyone` sum to `encode`."""
        weight, amount = self._weights(users)
        added: Float32s = self.rated[users.item_idx] * (weight / amount[users.rows])[:, None]
        return added

    def _weights(self, users: Histories) -> tuple[Float32s, Float32s]:
        """(n_ratings,) of each rating, and (n_users,) what the sum of a user is divided by."""
        clocks = recency(users)
        fresh = np.exp(self.place_bias[clocks.place] + self.age_bias[clocks.age])
        weight: Float32s = self.rating_weight[np.round(users.ratings * 2).astype(np.int64) - 1] * fresh
        amount = np.bincount(users.rows, weights=fresh, minlength=users.n_users).astype(np.float32)
        return weight, np.sqrt(amount + np.float32(1))


def user_encoder(model: TwoTower) -> UserEncoder:
    """Take what answering needs out of a trained model."""
    with torch.inference_mode():
        return UserEncoder(
            rated=(model.rated.weight + model.content_rated(model.content)).numpy(),
            rating_weight=model.rating_weight.numpy(),
            place_bias=model.place_bias.numpy(),
            age_bias=model.age_bias.numpy(),
            everyone=model.everyone.numpy(),
        )
