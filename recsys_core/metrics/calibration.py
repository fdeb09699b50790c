"""Calibration of probabilities: scores of forecasts against outcomes.

A forecast is *calibrated* when 12 % of the cases with a forecast of 12 % come true, and *sharp* when forecasts differ
between cases. Calibration error measures only the first: the constant base rate passes it. Brier score and log loss
measure both. The genre mix of a list, also called calibration, is in `beyond_accuracy`.
"""

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Int64s

Probabilities = npt.NDArray[np.float64]
"""(n,) stated probabilities, in [0, 1]."""

Outcomes = npt.NDArray[np.bool_]
"""(n,) whether each case came true."""


def brier_score(predicted: Probabilities, observed: Outcomes) -> float:
    """Mean squared distance from the outcomes: mean of (p - y)^2, in [0, 1]; 0 is perfect. NaN without cases.

    The constant base rate q scores q (1 - q), which is small where q is small: compare with that value.

    Source: Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2, halved as is usual for two outcomes.

    >>> round(brier_score(np.array([0.9, 0.2]), np.array([True, False])), 4)
    0.025
    """
    return float(np.square(predicted - observed).mean()) if len(predicted) else np.nan


def log_loss(predicted: Probabilities, observed: Outcomes) -> float:
    """Mean negative log probability of the outcomes, in nats; 0 is perfect. NaN without cases.

    Infinite where an outcome had probability 0: probabilities are not clipped.

    Source: Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x.

    >>> round(log_loss(np.array([0.5, 0.25]), np.array([True, False])), 4)
    0.4904
    """
    if not len(predicted):
        return np.nan
    given = np.where(observed, predicted, 1 - predicted)
    with np.errstate(divide="ignore"):  # log 0: the case above
        return float(-np.log(given).mean())


def equal_count_bins(predicted: Probabilities, n_bins: int = 10) -> Int64s:
    """(n,) bin of each case from 0, lowest probabilities first, as evenly filled as ties allow.

    Equal probabilities always share a bin, because any order among them would be arbitrary. Many equal probabilities
    make bins larger, and leave some bin numbers unused: a constant has one bin.

    >>> equal_count_bins(np.array([0.3, 0.1, 0.2, 0.2]), 2)
    array([1, 0, 0, 0])
    """
    below = np.searchsorted(np.sort(predicted), predicted, side="left")  # cases strictly below each
    return (below * n_bins // max(len(predicted), 1)).astype(np.int64)


def expected_calibration_error(predicted: Probabilities, observed: Outcomes, n_bins: int = 10) -> float:
    """Mean distance between stated probabilities and outcomes, over bins of equal count, weighted by their cases.

    ECE = sum over bins b of n_b / n |mean p in b - mean y in b|, in [0, 1]. NaN without cases.

    It is above 0 by chance alone, because the mean of few outcomes rarely equals their probability. A value of 0 does
    not mean that the forecast is useful (see above).

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
