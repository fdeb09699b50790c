"""Popularity: the same list for all users, by likes of all time or of late."""

from dataclasses import dataclass

import numpy as np

from recsys_core.arrays import Float32s
from recsys_core.data.histories import Histories
from recsys_core.days import DAY_S
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.scorer import input_matrix, popularity_prior

POPULARITY_GRID = tuple(
    {"popularity_input": kind, "popularity_user_power": power}
    for power in (0.0, 0.25, 0.5, 1.0)
    for kind in ("likes", "all")
)

RECENT_GRID = tuple(
    {"recent_input": kind, "recent_window_days": days} for days in (1460, 730, 2555, 365) for kind in ("likes", "all")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityScorer:
    """One score per item, the same for all users."""

    item_scores: Float32s  # (n_items,)

    def score(self, histories: Histories) -> Float32s:
        """(n_users, n_items): one row, repeated."""
        return np.tile(self.item_scores, (histories.n_users, 1))


def fit_popularity(train: Histories, config: BaselinesConfig) -> PopularityScorer:
    """Count each item's likes, or all its ratings.

    score(i) = sum over the users u who rated i of 1 / n_u^power, where n_u is how many ratings u gave. Power 0 is the
    plain count; at power 1 every user has one vote to split, so that heavy raters do not decide alone.
    """
    counted = input_matrix(train, config.popularity_input)
    weight = np.maximum(train.lengths, 1) ** -config.popularity_user_power  # (n_users,)
    return PopularityScorer(item_scores=(counted.T @ weight).astype(np.float32))


def fit_recent_popularity(train: Histories, config: BaselinesConfig, *, fit_end: int) -> PopularityScorer:
    """Count each item's likes (or ratings) of the last days: fit_end - window <= timestamp < fit_end.

    Items with the same count, mostly none, are ordered by their popularity of all time.

    Args:
        train: events at or after fit_end are ignored.
        config: input and width of the window.
        fit_end: seconds UTC; the moment at which the model is fitted.
    """
    start = fit_end - config.recent_window_days * DAY_S
    recent = ((train.timestamps >= start) & (train.timestamps < fit_end)).astype(np.float32)
    counted = input_matrix(train, config.recent_input)
    counts = counted.multiply(train.matrix(recent)).sum(axis=0)
    return PopularityScorer(item_scores=(counts + popularity_prior(train)).astype(np.float32))
