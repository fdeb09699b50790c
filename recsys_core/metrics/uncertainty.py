"""Uncertainty of means: bootstrap intervals over users, paired comparisons, spread over seeds.

Users are the unit of resampling: values of one user are correlated, those of different users are not. Every function
takes values per user, in which NaN marks users who do not count (see `ranking`), and the generator that draws.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from recsys_core.errors import DataError
from recsys_core.metrics.ranked_lists import PerUser

Samples = npt.NDArray[np.float64]
Clusters = npt.NDArray[np.int64]

_CELLS = 4_000_000
"""Row numbers of draws held in memory at once: 32 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean (or a ratio of means) with its confidence interval over the choice of users."""

    mean: float
    low: float
    high: float
    n: int  # users that count

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}] (n={self.n})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSpread:
    """Mean and sample standard deviation over runs that differ only in their seed."""

    mean: float
    sd: float  # NaN for a single seed
    n: int  # seeds


def bootstrap_mean(
    values: PerUser,
    rng: np.random.Generator,
    *,
    n_draws: int = 2000,
    level: float = 0.95,
    clusters: Clusters | None = None,
) -> Estimate:
    """Mean over the users that count, with its percentile bootstrap interval.

    Users are resampled with replacement, as many as there are; the interval holds the middle `level` of the means.

    Where one user has several values, as in several windows of time, `clusters` names the user of each: users are then
    drawn with all their values, and n counts values.

    Edges: without any user that counts, everything is NaN; a single one gives an uninformative interval of width 0.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13; of clusters, Field & Welsh (2007),
    doi:10.1111/j.1467-9868.2007.00593.x.

    >>> print(bootstrap_mean(np.array([0.0, 1.0, 1.0, np.nan]), np.random.default_rng(0)))
    0.6667 [0.0000, 1.0000] (n=3)
    """
    counts = ~np.isnan(values)
    counted = values[counts]
    if not len(counted):
        return Estimate(mean=np.nan, low=np.nan, high=np.nan, n=0)
    means = _resampled_means(counted[:, None], rng, n_draws, None if clusters is None else clusters[counts])[:, 0]
    return _estimate(float(counted.mean()), means, level, len(counted))


def bootstrap_means(
    values: Samples,
    rng: np.random.Generator,
    *,
    n_draws: int = 2000,
    level: float = 0.95,
    clusters: Clusters | None = None,
) -> list[Estimate]:
    """`bootstrap_mean` of each column of (n, n_columns) values without NaN, all by the same draws."""
    if not len(values):
        return [Estimate(mean=np.nan, low=np.nan, high=np.nan, n=0)] * values.shape[1]
    means = _resampled_means(values, rng, n_draws, clusters)
    return [_estimate(float(values[:, at].mean()), means[:, at], level, len(values)) for at in range(values.shape[1])]


def paired_difference(
    ours: PerUser,
    theirs: PerUser,
    rng: np.random.Generator,
    *,
    n_draws: int = 2000,
    level: float = 0.95,
    clusters: Clusters | None = None,
) -> Estimate:
    """Mean of ours - theirs over the same users, with its percentile bootstrap interval.

    Both values of a user are drawn together, so that the difficulty of a user, which both share, cancels. The interval
    is far narrower than that of two separate means. The difference is beyond chance where it excludes 0.

    Raises:
        DataError: the two count different users.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 8.

    >>> print(paired_difference(np.array([0.5, 0.9]), np.array([0.4, 0.8]), np.random.default_rng(0)))
    0.1000 [0.1000, 0.1000] (n=2)
    """
    _refuse_others(ours, theirs)
    return bootstrap_mean(ours - theirs, rng, n_draws=n_draws, level=level, clusters=clusters)


def paired_ratio(
    ours: PerUser,
    theirs: PerUser,
    rng: np.random.Generator,
    *,
    n_draws: int = 2000,
    level: float = 0.95,
    clusters: Clusters | None = None,
) -> Estimate:
    """Mean of ours / mean of theirs over the same users, with its percentile bootstrap interval.

    A ratio of means, because a mean of ratios would be undefined for each user with a 0 in theirs. The ratio is beyond
    chance where the interval excludes 1.

    Edges: NaN where the mean of theirs is 0. If that happens in any draw, the bounds are NaN: too few users have a
    value above 0 to bound a ratio.

    Raises:
        DataError: the two count different users.

    >>> print(paired_ratio(np.array([0.2, 0.6]), np.array([0.1, 0.3]), np.random.default_rng(0)))
    2.0000 [2.0000, 2.0000] (n=2)
    """
    _refuse_others(ours, theirs)
    counts = ~np.isnan(ours)
    pairs = np.stack([ours, theirs], axis=1)[counts]
    if not len(pairs):
        return Estimate(mean=np.nan, low=np.nan, high=np.nan, n=0)
    ratios = _ratios(_resampled_means(pairs, rng, n_draws, None if clusters is None else clusters[counts]))
    return _estimate(float(_ratios(pairs.mean(axis=0)[None])[0]), ratios, level, len(pairs))


def seed_spread(means: npt.ArrayLike) -> SeedSpread:
    """Mean and sample standard deviation (n - 1) over the headline of each seed.

    >>> seed_spread([0.25, 0.5, 0.75])
    SeedSpread(mean=0.5, sd=0.25, n=3)
    """
    values = np.asarray(means, dtype=np.float64)
    sd = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return SeedSpread(mean=float(values.mean()) if len(values) else np.nan, sd=sd, n=len(values))


def _refuse_others(ours: PerUser, theirs: PerUser) -> None:
    if ours.shape != theirs.shape or np.any(np.isnan(ours) != np.isnan(theirs)):
        raise DataError("the two models were scored on different users: give both the same users with relevant items")


def _resampled_means(values: Samples, rng: np.random.Generator, n_draws: int, clusters: Clusters | None) -> Samples:
    """(n_draws, n_columns) column means of (n, n_columns) values, with rows or clusters of rows resampled."""
    totals, sizes = values, np.ones((len(values), 1))
    if clusters is not None:
        _, of_cluster = np.unique(clusters, return_inverse=True)
        sizes = np.bincount(of_cluster).astype(np.float64)[:, None]
        totals = np.zeros((len(sizes), values.shape[1]))
        np.add.at(totals, of_cluster, values)
    n = len(totals)
    at_once = max(1, _CELLS // (n * values.shape[1]))
    batches = [min(at_once, n_draws - start) for start in range(0, n_draws, at_once)]
    means = []
    # BLAS sums in another order on another number of threads: on one, the same draws give the same bits.
    with threadpool_limits(limits=1, user_api="blas"):
        for batch in batches:
            places = rng.integers(0, n, (batch, n)) + n * np.arange(batch)[:, None]
            times_drawn = np.bincount(places.ravel(), minlength=batch * n).reshape(batch, n).astype(np.float64)
            means.append(times_drawn @ totals / (times_drawn @ sizes))
    return np.concatenate(means)


def _ratios(means: Samples) -> PerUser:
    return means[:, 0] / np.where(means[:, 1] > 0, means[:, 1], np.nan)


def _estimate(mean: float, means: PerUser, level: float, n: int) -> Estimate:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(mean=mean, low=float(low), high=float(high), n=n)
