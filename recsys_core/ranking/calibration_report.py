"""Can the calibrated probabilities be taken at their word? Judged on likes that neither ranker nor curve has seen.

The validation slice has to give both the labels to fit the curve and those to judge it, so its users are dealt into
two halves: the curve of each half judges the other. Halves of users, not of rows, because the likes of one user hang
together. The curve that serves is fitted on both.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.metrics.reliability import (
    brier_score,
    equal_count_bins,
    expected_calibration_error,
    log_loss,
)
from recsys_core.metrics.uncertainty import paired_ratio
from recsys_core.ranking.calibration import fit_calibration
from recsys_core.seeding import child

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

CALIBRATED, BASE_RATE = "calibrated", "base rate"
"""Forecasts: the curve over the score, and the share of likes among the other half's rows, the same for every row."""

FORECASTS_SCHEMA = pl.Schema(
    {"forecast": pl.String, "rows": pl.String, "n": pl.Int64, "predicted": pl.Float64, "observed": pl.Float64,
     "brier": pl.Float64, "log_loss": pl.Float64, "calibration_error": pl.Float64}
)  # fmt: skip
RELIABILITY_SCHEMA = pl.Schema(
    {"bin": pl.Int64, "n": pl.Int64, "predicted": pl.Float64, "observed": pl.Float64, "low": pl.Float64,
     "high": pl.Float64}
)  # fmt: skip


def crossfitted(scored: pl.DataFrame, seed: int = 17) -> pl.DataFrame:
    """`scored` with two forecasts of each row, made without the labels of its user: calibrated, base_rate.

    Args:
        scored: user_id, label, score, of a ranker that never saw the labels.
        seed: deals the users into halves.

    Returns:
        No row where a half allows no curve (see `fit_calibration`): nothing can be judged then.
    """
    users = scored["user_id"].unique().sort().to_numpy()
    in_first = child(seed, "calibration halves").permutation(len(users)) < len(users) // 2
    is_first = in_first[np.searchsorted(users, scored["user_id"].to_numpy())]  # (n_rows,)
    scores, labels = scored["score"].to_numpy(), scored["label"].to_numpy()
    calibrated, base_rate = np.empty(scored.height), np.empty(scored.height)
    for judged in (is_first, ~is_first):
        curve = fit_calibration(scores[~judged], labels[~judged])
        if curve is None:
            return scored.clear().with_columns(calibrated=pl.lit(0.0), base_rate=pl.lit(0.0))
        calibrated[judged], base_rate[judged] = curve.probability(scores[judged]), labels[~judged].mean()
    return scored.with_columns(calibrated=calibrated, base_rate=base_rate)


def forecast_scores(forecast: pl.DataFrame, k: int = 10) -> pl.DataFrame:
    """FORECASTS_SCHEMA: how either forecast does over all candidates, and over the k of each user that are shown.

    A curve that is right on average over all candidates may still be wrong for the few at the top, and only these are
    ever seen. All figures are NaN where there is no row.

    Args:
        forecast: from `crossfitted`; a user has a list for each window, where there is such a column.
        k: length of the list.
    """
    request = [name for name in ("window", "user_id") if name in forecast.columns]
    by_score = forecast.sort("score", descending=True, maintain_order=True)
    shown = by_score.group_by(request, maintain_order=True).head(k)
    rows = []
    for name, some in (("candidates", forecast), (f"first {k}", shown)):
        observed = some["label"].to_numpy() == 1
        for kind, column in ((CALIBRATED, "calibrated"), (BASE_RATE, "base_rate")):
            predicted = some[column].to_numpy()
            means = [float(values.mean()) if len(values) else np.nan for values in (predicted, observed)]
            scores = [score(predicted, observed) for score in (brier_score, log_loss, expected_calibration_error)]
            rows.append((kind, name, some.height, *means, *scores))
    return pl.DataFrame(rows, schema=FORECASTS_SCHEMA, orient="row")


def reliability_table(forecast: pl.DataFrame, n_bins: int = 10, seed: int = 17) -> pl.DataFrame:
    """RELIABILITY_SCHEMA: what was stated and what came true, per bin of equal count, lowest probabilities first.

    The interval draws users anew, not rows: rows of one user hang together, and an interval that took each for a case
    of its own would be too narrow. A bin in which nothing came true has an interval of width 0, which says nothing.

    Args:
        forecast: from `crossfitted`.
        n_bins: how many; fewer come back where probabilities are tied.
        seed: of the bootstrap.
    """
    predicted, observed = forecast["calibrated"].to_numpy(), forecast["label"].to_numpy() == 1
    users, user_of_row = np.unique(forecast["user_id"].to_numpy(), return_inverse=True)
    bins, rng, rows = equal_count_bins(predicted, n_bins), child(seed, "reliability"), []
    for at in np.unique(bins):
        inside = bins == at
        n_likes = np.bincount(user_of_row[inside], weights=observed[inside], minlength=len(users)).astype(np.float64)
        n_rows = np.bincount(user_of_row[inside], minlength=len(users)).astype(np.float64)
        share = paired_ratio(n_likes, n_rows, rng)
        stated = float(predicted[inside].mean())
        rows.append((int(at) + 1, int(inside.sum()), stated, share.mean, share.low, share.high))
    return pl.DataFrame(rows, schema=RELIABILITY_SCHEMA, orient="row")
