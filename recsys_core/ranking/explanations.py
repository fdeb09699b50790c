"""Which features carry a ranker's scores, and which way: SHAP values summed up over many rows."""

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import rankdata

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.ranking.ranker import Ranker
from recsys_core.seeding import child

Float32s = npt.NDArray[np.float32]

MOST_ROWS = 20_000
"""Rows to explain: a mean over so many moves no bar of the picture, and larger data would take minutes."""


def importance(ranker: Ranker, features: Float32s, seed: int = 17) -> pl.DataFrame:
    """What each feature does in a ranker: feature, mean_abs_shap, direction, gain; the strongest first.

    `mean_abs_shap` is the mean of |SHAP value|: by how much the feature moves a score, on the scale of the score.
    `direction` is the rank correlation between a feature's value and its SHAP value: near +1 where more of it raises
    the score, near -1 where it lowers it, near 0 where the effect turns round on the way, or hangs on other features;
    NaN where either never varies. Rows that lack the value are left out of it. `gain` is the mean gain of the splits
    on the training rows, and says nothing of how often rows come by there.

    Features that tell the same share their credit among them in either measure: a low figure is no proof that a feature
    could go.

    Args:
        ranker: the one to explain.
        features: (n_rows, n_features), of rows that it did not learn from: on its own, trees look busier than they are.
            Without rows all is NaN but the gain.
        seed: draws `MOST_ROWS` where there are more.

    Source: Lundberg et al. (2020), doi:10.1038/s42256-019-0138-9.
    """
    if len(features) > MOST_ROWS:
        features = features[np.sort(child(seed, "explanations").choice(len(features), MOST_ROWS, replace=False))]
    shap = ranker.contributions(features)[:, :-1]  # (n_rows, n_features), without the base, which is the same for all
    means = np.abs(shap).mean(axis=0, dtype=np.float64) if len(features) else np.full(len(FEATURE_NAMES), np.nan)
    directions = [_rank_correlation(values, moved) for values, moved in zip(features.T, shap.T, strict=True)]
    table = pl.DataFrame({"feature": FEATURE_NAMES, "mean_abs_shap": means, "direction": directions})
    return table.join(ranker.importance(), on="feature").sort("mean_abs_shap", "feature", descending=[True, False])


def _rank_correlation(values: Float32s, moved: Float32s) -> float:
    """Spearman's, with mean ranks for ties; NaN where either side is constant."""
    there = ~np.isnan(values)
    if not there.any() or np.ptp(values[there]) == 0 or np.ptp(moved[there]) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(values[there]), rankdata(moved[there]))[0, 1])
