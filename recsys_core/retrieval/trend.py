"""Trend: a part of the retriever that follows the popularity of items through the years.

The trained half knows one popularity per item, that of all time, and so favours items that were rated for longest.
Here time is cut into bins of equally many ratings, and an item's entry of a bin is the logarithm of how much of its
popularity falls to the months around it. A user's vector picks the bin of the history's latest rating; anything later
counts to the last bin.

    score(i) = weight x log((count of i around then, as a share of all ratings, x all ratings + p) / (count of i + p))
             + recent weight x log(1 + likes of i among the latest ratings before the end of the bin)

By the first line a rising item gains, a forgotten one loses, and one that keeps its share stays at zero.
The second is the recent popularity itself, counted over a share of all ratings and not over days, so that it means the
same in a busy year and in a quiet one.
"""

from dataclasses import dataclass

import numpy as np

from recsys_core.arrays import Float32s, Float64s, Int64s
from recsys_core.data.histories import Histories, evidence
from recsys_core.data.schemas import LIKED
from recsys_core.retrieval.config import TwoTowerConfig

N_BINS = 32

WIDTH = 365 * 86_400
"""Seconds: the deviation of the bell curve by which a bin reads those around it."""

PRIOR = 3.0
"""Ratings that pull an item towards no trend: few ratings say little about when it is watched."""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Popularity by time, relative to that of all time."""

    starts: Int64s  # (n_bins,) seconds UTC, ascending; the first bin reaches back, the last forward, without end
    item_factors: Float32s  # (n_items, n_bins), its weight included

    @property
    def n_bins(self) -> int:
        """Length of the vectors."""
        return len(self.starts)

    def encode_users(self, users: Histories) -> Float32s:
        """(n_users, n_bins): 1 in the bin of the latest rating; for an empty history, which is new, in the last bin."""
        vectors = np.zeros((users.n_users, self.n_bins), dtype=np.float32)
        if self.n_bins:
            bins = np.full(users.n_users, self.n_bins - 1)
            some = users.lengths > 0
            bins[some] = _bin_of(self.starts, users.timestamps[users.offsets[1:][some] - 1])
            vectors[np.arange(users.n_users), bins] = 1
        return vectors


def fit_trend(users: Histories, config: TwoTowerConfig) -> Trend:
    """The trend of every item in the users' ratings; no bins come back where there are no ratings."""
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
    around *= (total.sum() / np.maximum(around.sum(axis=1), 1e-12))[:, None]  # as if all ratings had been given then
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
