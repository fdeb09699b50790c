"""Trend: the part of retrieval that follows the popularity of items over time.

The towers have one popularity per item, that of all time, and so favour items that have been rated for longest. Here
time is cut into bins with equal numbers of ratings. An item's entry of a bin is the logarithm of its popularity around
the bin, relative to that of all time. A user's vector selects the bin of the history's latest rating; later times
belong to the last bin.

    score(i) = weight x log((count of i around then, as a share of all ratings, x all ratings + p) / (count of i + p))
             + recent weight x log(1 + likes of i among the latest ratings before the end of the bin)

By the first term, items of rising popularity gain, items of falling popularity lose, and a constant share gives zero.
The second term is the recent popularity, counted over a share of all ratings and not over days, so that it is
comparable between busy and quiet years.
"""

from dataclasses import dataclass

import numpy as np

from recsys_core.arrays import Float32s, Float64s, Int64s
from recsys_core.data.histories import Histories, evidence
from recsys_core.data.schemas import LIKED
from recsys_core.retrieval.config import TwoTowerConfig

N_BINS = 32

WIDTH = 365 * 86_400
"""Seconds: standard deviation of the Gaussian kernel over neighbouring bins."""

PRIOR = 3.0
"""Pseudo-counts that shrink the trend of rarely rated items to zero."""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Popularity of each item by time, relative to that of all time."""

    starts: Int64s  # (n_bins,) seconds UTC, ascending; the first and the last bin are open-ended
    item_factors: Float32s  # (n_items, n_bins), its weight included

    @property
    def n_bins(self) -> int:
        """Length of the vectors."""
        return len(self.starts)

    def encode_users(self, users: Histories) -> Float32s:
        """(n_users, n_bins): 1 in the bin of the latest rating; an empty history uses the last bin."""
        vectors = np.zeros((users.n_users, self.n_bins), dtype=np.float32)
        if self.n_bins:
            bins = np.full(users.n_users, self.n_bins - 1)
            some = users.lengths > 0
            bins[some] = _bin_of(self.starts, users.timestamps[users.offsets[1:][some] - 1])
            vectors[np.arange(users.n_users), bins] = 1
        return vectors


def fit_trend(users: Histories, config: TwoTowerConfig) -> Trend:
    """The trend of every item; without ratings there are no bins."""
    if not len(users.timestamps):
        return Trend(starts=np.zeros(0, dtype=np.int64), item_factors=np.zeros((users.n_items, 0), dtype=np.float32))
    edges = np.quantile(users.timestamps, np.linspace(0, 1, N_BINS + 1))
    starts = edges[:-1].astype(np.int64)
    counts = np.zeros((N_BINS, users.n_items))
    np.add.at(counts, (_bin_of(starts, users.timestamps), users.item_idx), evidence(users))
    total = counts.sum(axis=0)  # (n_items,)
    middles = (edges[1:] + edges[:-1]) / 2
    near = np.exp(-0.5 * ((middles[:, None] - middles) / WIDTH) ** 2)  # (n_bins, n_bins)
    around = near @ counts
    around *= (total.sum() / np.maximum(around.sum(axis=1), 1e-12))[:, None]  # scaled to the number of all ratings
    trend = config.trend_weight * np.log((around + PRIOR) / (total + PRIOR))
    ends = np.append(starts[1:], users.timestamps.max() + 1)
    trend += config.recent_weight * np.log1p(_recent_likes(users, ends, config.recent_share))
    return Trend(starts=starts, item_factors=np.ascontiguousarray(trend.T, dtype=np.float32))


def _recent_likes(users: Histories, ends: Int64s, share: float) -> Float64s:
    """(n_bins, n_items) likes among the latest share of all ratings strictly before the end of each bin."""
    order = np.argsort(users.timestamps, kind="stable")
    liked = (users.ratings[order] >= LIKED).astype(np.float64)
    items = users.item_idx[order]
    last = np.searchsorted(users.timestamps[order], ends)
    counts = np.zeros((len(ends), users.n_items))
    for row, end in zip(counts, last.tolist(), strict=True):
        start = end - max(1, round(share * end)) if end else 0
        np.add.at(row, items[start:end], liked[start:end])
    return counts


def _bin_of(starts: Int64s, timestamps: Int64s) -> Int64s:
    bins: Int64s = np.maximum(np.searchsorted(starts, timestamps, side="right") - 1, 0)
    return bins
