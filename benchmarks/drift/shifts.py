"""What is done to a window on purpose, to see who notices."""

from collections.abc import Callable

import numpy as np

from benchmarks.drift.requests import Requests, Users, column
from recsys_core.arrays import Float32s
from recsys_core.features.registry import FEATURES

NOTHING = "no drift"

Shift = Callable[[Requests, Users, np.random.Generator], Float32s]
"""Requests, the users of a window, chance -> what the window holds instead, (n, N_PLACES, n_features)."""


def unmoved(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """No drift."""
    return requests.features[users]


def stale(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """A fifth of the users is answered from an earlier history."""
    moved = requests.features[users]
    some = rng.permutation(len(users))[: len(users) // 5]
    moved[some] = requests.earlier[users[some]]
    return moved


def all_stale(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """Every user is answered from an earlier history."""
    return requests.earlier[users]


def emptied(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """A fifth of the users has the user features of somebody of whom nothing is known."""
    moved = requests.features[users]
    some = rng.permutation(len(users))[: len(users) // 5]
    for feature in FEATURES:
        if feature.entity == "user":
            moved[some, :, column(feature.name)] = 0 if feature.name == "user_n_ratings" else np.nan
    return moved


def nudged(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """Every item is a little more popular."""
    moved = requests.features[users]
    at = column("item_popularity_share")
    moved[:, :, at] += 0.2 * requests.features[:, :, at].std()
    return moved


def rescaled(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """One feature in another unit."""
    moved = requests.features[users]
    moved[:, :, column("item_days_known")] *= 60
    return moved


def thinned(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """A fifth of the rows lacks one feature."""
    moved = requests.features[users]
    moved[rng.random(moved.shape[:2]) < 0.2, column("item_mean_rating")] = np.nan
    return moved


CAUSES: dict[str, Shift] = {
    NOTHING: unmoved,
    "20 % of users answered from a history that ends earlier": stale,
    "all users answered from a history that ends earlier": all_stale,
    "20 % of users with the features of an empty history": emptied,
    "`item_popularity_share` + 0.2 standard deviations": nudged,
    "`item_days_known` x 60": rescaled,
    "`item_mean_rating` missing in 20 % of rows": thinned,
}
