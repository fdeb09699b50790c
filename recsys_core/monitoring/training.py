"""What the ranker learned from, as it would have shown it: what a drift report compares with."""

import polars as pl

from recsys_core.data.splits import TEST
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.monitoring.sample import Sample, scored_sample
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker


def trained_sample(ranker: Ranker, examples: RankingExamples, k: int) -> Sample:
    """The first k places of the latest window's requests, in the serving ranker's order; a cluster is a user.

    The ranker has seen these rows, and so its scores of them are a little more extreme than of rows that it meets anew.
    """
    rows = examples.of_window(TEST)
    scored = rows.with_columns(score=ranker.score(rows.select(FEATURE_NAMES).to_numpy()))
    shown = (
        scored.sort("user_id", "score", descending=[False, True], maintain_order=True)
        .group_by("user_id", maintain_order=True)
        .head(k)
    )
    return scored_sample(
        shown.select(FEATURE_NAMES).to_numpy(), shown["score"].to_numpy(), shown["user_id"].cast(pl.Int64).to_numpy()
    )
