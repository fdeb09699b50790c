"""The ranker's rows of all slices that have labels to give: every one but the test."""

from collections.abc import Callable

import polars as pl

from recsys_core.data.splits import TEST, Splits, known_ratings
from recsys_core.features.slices import of_slice
from recsys_core.ranking.examples import RankingExamples, make_examples, slice_rows
from recsys_core.ranking.inputs import propose, proposer_of
from recsys_core.retrieval.training import FittedTower


def examples_of_slices(
    ratings: pl.DataFrame,
    splits: Splits,
    items: pl.DataFrame,
    users: pl.DataFrame,
    tower_of: Callable[[str], FittedTower],
    *,
    n_candidates: int,
) -> RankingExamples:
    """Candidates, features and labels of every slice but the test.

    Args:
        ratings: RATINGS.
        splits: slices with their targets; the test's are not needed.
        items: `item_features_by_slice`.
        users: `user_features_by_slice`.
        tower_of: the tower of a slice, fitted on what its models may see.
        n_candidates: candidates per user.
    """
    slices = []
    for name in splits.names:
        if name == TEST:
            continue
        proposer = proposer_of(tower_of(name), of_slice(items, name))
        inputs = propose(
            proposer,
            known_ratings(ratings, splits, name),
            splits.requests(name),
            user_rows=of_slice(users, name),
            n_candidates=n_candidates,
        )
        slices.append(slice_rows(name, inputs, ratings, splits))
    return make_examples(slices, splits)
