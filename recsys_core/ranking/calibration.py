"""From a ranker's score to the probability that the user goes on to like the item.

Platt (1999), "Probabilistic outputs for support vector machines", in Advances in Large Margin Classifiers: a logistic
curve of two parameters over the score. Two parameters, because there are only a few hundred likes to fit on; a positive
slope, so that the order never changes. `report` evaluates the probabilities.
"""

import json
import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from recsys_core.arrays import Float32s, Float64s
from recsys_core.errors import REBUILD, ArtifactError

Labels = npt.NDArray[np.integer]

FILE = "calibration.json"

_MAX_STEPS, _TOLERANCE = 100, 1e-10

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """probability = 1 / (1 + exp(-(slope * score + intercept)))."""

    slope: float  # above 0
    intercept: float
    n: int  # rows that it was fitted on

    def __post_init__(self) -> None:
        """Refuse a curve that would reverse the order, or is undefined.

        Raises:
            ValueError: the slope is not positive, a parameter is not finite, or n is 0.
        """
        if not (0 < self.slope < math.inf and math.isfinite(self.intercept) and self.n >= 1):
            raise ValueError(f"{self} is no rising curve: expected slope > 0, both finite, n >= 1")

    def probability(self, scores: Float32s | Float64s) -> Float64s:
        """The probability of a like for each score, whatever the shape; 0 for the -inf of padding.

        >>> Calibration(slope=2.0, intercept=-1.0, n=1).probability(np.array([0.5, -np.inf]))
        array([0.5, 0. ])
        """
        probability: Float64s = expit(self.slope * scores.astype(np.float64) + self.intercept)
        return probability


def fit_calibration(scores: Float32s | Float64s, labels: Labels) -> Calibration | None:
    """The curve that makes the labels most likely, with Platt's targets in place of 0 and 1.

    The targets, (n+ + 1) / (n+ + 2) for a like and 1 / (n- + 2) for anything else, keep the curve finite where the
    scores of likes and others do not overlap. Minimised by Newton's method with step halving: Lin, Lin & Weng (2007),
    doi:10.1007/s10994-007-5018-6.

    Args:
        scores: (n,) of a ranker that was not trained on these labels: on training rows it is overconfident.
        labels: (n,) 1 for a like, 0 for anything else.

    Returns:
        None where no increasing curve fits: without likes or without others, with equal scores, or if likes score lower
        than others. A warning is logged.
    """
    n_likes, n_others = int((labels == 1).sum()), int((labels != 1).sum())
    if not n_likes or not n_others or np.ptp(scores) == 0:
        logger.warning("no calibration: there are %d likes, %d others and one score or none", n_likes, n_others)
        return None
    targets = np.where(labels == 1, (n_likes + 1) / (n_likes + 2), 1 / (n_others + 2))
    design = np.stack([scores.astype(np.float64), np.ones(len(scores))], axis=1)  # (n, 2)
    slope, intercept = _newton(design, targets, math.log((n_likes + 1) / (n_others + 1)))
    if slope <= 0:
        logger.warning("no calibration: likes did not score higher than the rest (slope %.3g)", slope)
        return None
    return Calibration(slope=slope, intercept=intercept, n=len(scores))


def save_calibration(calibration: Calibration | None, folder: Path) -> None:
    """Write it; `null` where there is none, so that a missing file always means damage."""
    folder.joinpath(FILE).write_text(json.dumps(None if calibration is None else asdict(calibration), indent=1))


def load_calibration(folder: Path) -> Calibration | None:
    """Read what `save_calibration` wrote.

    Raises:
        ArtifactError: the file is absent or damaged, or holds no increasing curve.
    """
    try:
        about = json.loads(folder.joinpath(FILE).read_text())
        return None if about is None else Calibration(**about)
    except (OSError, ValueError, TypeError) as fault:
        raise ArtifactError(f"the ranker in {folder} is missing or damaged: {REBUILD}") from fault


def _newton(design: Float64s, targets: Float64s, intercept: float) -> tuple[float, float]:
    """Slope and intercept at the minimum of the cross entropy, which is convex, so the start does not matter."""
    at = np.array([0.0, intercept])
    for _ in range(_MAX_STEPS):
        predicted = expit(design @ at)
        gradient = design.T @ (predicted - targets)
        curvature = (design * (predicted * (1 - predicted))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        scale = 1.0
        while _cross_entropy(design, targets, at - scale * step) > _cross_entropy(design, targets, at) and scale > 1e-9:
            scale /= 2  # a full step may overshoot where the gradient is flat
        at = at - scale * step
        if np.abs(scale * step).max() < _TOLERANCE:
            break
    return float(at[0]), float(at[1])


def _cross_entropy(design: Float64s, targets: Float64s, at: Float64s) -> float:
    logits = design @ at
    return float((np.logaddexp(0, logits) - targets * logits).sum())
