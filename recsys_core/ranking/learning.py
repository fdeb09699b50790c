"""NDCG by number of trees: does a ranker still learn with the last ones, or does it only remember?

Boosting keeps every tree, so the ranker of any earlier round is a prefix of the finished one, and nothing has to be
watched while it is trained. Asked of the rehearsal, which never saw the validation slice.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from recsys_core.data.splits import VALIDATION
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.validation import validate_ranker

N_LOOKS = 10


def learning_curve(rehearsal: Ranker, examples: RankingExamples) -> pl.DataFrame:
    """round, slice, ndcg: mean NDCG@10 after so many trees, on the validation slice and on one that was learned from.

    The latter is the latest hold-out, the nearest in time. The gap between the two is what was learned by heart, and
    what people do otherwise in another time.

    Args:
        rehearsal: from `fit_rehearsed`.
        examples: what it was trained on, and the validation slice.
    """
    nearest = examples.nearest_holdout(VALIDATION)
    rounds = rehearsal.booster.num_boosted_rounds()
    looks = np.unique(np.linspace(1, rounds, min(N_LOOKS, rounds)).round().astype(int)).tolist()
    rows = []
    for n_trees in looks:
        then = replace(rehearsal, booster=rehearsal.booster[:n_trees])
        for name in (VALIDATION, nearest):
            table = validate_ranker(then, examples, name=name).filter(order="ranking")
            rows.append((n_trees, name, float(table["ndcg"].to_numpy().mean())))
    return pl.DataFrame(rows, schema={"round": pl.Int64, "slice": pl.String, "ndcg": pl.Float64}, orient="row")
