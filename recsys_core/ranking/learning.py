"""NDCG by number of trees: does a ranker still learn with the last ones, or does it only remember?

Boosting keeps every tree, so the ranker of any earlier round is a prefix of the finished one, and nothing has to be
watched while it is trained. Asked of the ranker that the last development window examines.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.validation import validate_ranker

N_LOOKS = 10


def learning_curve(ranker: Ranker, examples: RankingExamples) -> pl.DataFrame:
    """round, window, is_new, ndcg: mean NDCG@10 after so many trees, on a new window and on one that it learned from.

    The latter is the window before. The gap between the two is what was learned by heart, and what people do otherwise
    in another time.

    Args:
        ranker: fitted before the last development window.
        examples: what it was trained on, and that window.
    """
    new = examples.development[-1]
    learned = examples.window_before(new)
    rounds = ranker.booster.num_boosted_rounds()
    looks = np.unique(np.linspace(1, rounds, min(N_LOOKS, rounds)).round().astype(int)).tolist()
    rows = []
    for n_trees in looks:
        then = replace(ranker, booster=ranker.booster[:n_trees])
        for window in (new, learned):
            table = validate_ranker(then, examples, window).filter(order="ranking")
            rows.append((n_trees, window, window == new, float(table["ndcg"].to_numpy().mean())))
    schema = {"round": pl.Int64, "window": pl.String, "is_new": pl.Boolean, "ndcg": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
