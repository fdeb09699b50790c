"""Can a stated probability be taken at its word? Scores of forecasts against what came true.

A forecast is *calibrated* when, of all cases that it gave 12 %, 12 % come true, and *sharp* when it does not give
everybody the same. Calibration error sees only the first: the constant base rate passes it. Brier score and log loss
see both. The shares of genres in a list, which are called calibration as well, are in `calibration`.
"""

import numpy as np
import numpy.typing as npt

from recsys_core.metrics.relevance import Counts

Probabilities = npt.NDArray[np.float64]
"""(n,) stated probabilities, in [0, 1]."""

Outcomes = npt.NDArray[np.bool_]
"""(n,) whether it came true."""


def brier_score(predicted: Probabilities, observed: Outcomes) -> float:
    """Mean squared distance from what came true: mean of (p - y)^2, in [0, 1]; 0 is perfect. NaN without cases.

    The constant base rate q scores q (1 - q), which is little where q is small: read it beside that.

    Source: Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2, halved as is usual for two outcomes.

    >>> round(brier_score(np.array([0.9, 0.2]), np.array([True, False])), 4)
    0.025
    """
    return float(np.square(predicted - observed).mean()) if len(predicted) else np.nan


def log_loss(predicted: Probabilities, observed: Outcomes) -> float:
    """Mean negative log of the probability that was given to what came true, in nats; 0 is perfect. NaN without cases.

    Infinite where something came true that was called impossible: nothing is clipped, so no forecast is forgiven.

    Source: Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x.

    >>> round(log_loss(np.array([0.5, 0.25]), np.array([True, False])), 4)
    0.4904
    """
    if not len(predicted):
        return np.nan
    given = np.where(observed, predicted, 1 - predicted)
    with np.errstate(divide="ignore"):  # log 0: the case above
        return float(-np.log(given).mean())


def equal_count_bins(predicted: Probabilities, n_bins: int = 10) -> Counts:
    """(n,) bin of each case from 0, lowest probabilities first, as evenly filled as ties allow.

    Equal probabilities always share a bin, since any order among them would be borrowed from somewhere. Where there
    are many, bins are larger, and some numbers are not given at all: a constant has one bin.

    >>> equal_count_bins(np.array([0.3, 0.1, 0.2, 0.2]), 2)
    array([1, 0, 0, 0])
    """
    below = np.searchsorted(np.sort(predicted), predicted, side="left")  # cases strictly below each
    return (below * n_bins // max(len(predicted), 1)).astype(np.int64)


def expected_calibration_error(predicted: Probabilities, observed: Outcomes, n_bins: int = 10) -> float:
    """Mean distance between what was stated and what came true, over bins of equal count, weighted by their cases.

    ECE = sum over bins b of n_b / n |mean p in b - mean y in b|, in [0, 1]. NaN without cases.

    It is above 0 by chance alone, for a bin of few cases never comes out even; and 0 does not mean useful (see above).

    Source: Naeini et al. (2015), doi:10.1609/aaai.v29i1.9602; bins of equal count as in Nguyen & O'Connor (2015),
    doi:10.18653/v1/D15-1182.

    >>> round(expected_calibration_error(np.array([0.1, 0.3, 0.6, 0.8]), np.array([False, False, True, True]), 2), 4)
    0.25
    """
    if not len(predicted):
        return np.nan
    bins = equal_count_bins(predicted, n_bins)
    gaps = np.bincount(bins, weights=predicted - observed)  # n_b (mean p - mean y)
    return float(np.abs(gaps).sum() / len(predicted))
