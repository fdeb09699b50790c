"""What the rankers of the past would have shown: rows of questions that they had not learned from."""

import polars as pl

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.monitoring.sample import Sample, scored_sample
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.training_rows import RankingExamples


def examined_sample(ranker: Ranker, examples: RankingExamples, window: str, k: int) -> Sample:
    """The first k places of each request of a window; a cluster is a user. Empty where the window asked no user.

    Args:
        ranker: the one that the window examines. A ranker that has learned from these rows gives them more extreme
            scores than it gives to new ones.
        examples: the training rows of all windows.
        window: whose questions are answered.
        k: places of a list.
    """
    rows = examples.of_window(window)
    if rows.is_empty():
        scored = rows.with_columns(score=pl.lit(None, pl.Float32))
    else:
        scored = rows.with_columns(score=ranker.score(rows.select(FEATURE_NAMES).to_numpy()))
    shown = (
        scored.sort("user_id", "score", descending=[False, True], maintain_order=True)
        .group_by("user_id", maintain_order=True)
        .head(k)
    )
    return scored_sample(
        shown.select(FEATURE_NAMES).to_numpy(), shown["score"].to_numpy(), shown["user_id"].cast(pl.Int64).to_numpy()
    )
