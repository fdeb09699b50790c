"""The ranker's training rows over all slices that have labels to give: every one but the test."""

from collections.abc import Callable

import polars as pl

from recsys_core.data.splits import TEST, Splits, slice_contexts
from recsys_core.features.slices import of_slice
from recsys_core.ranking.examples import RankingExamples, make_examples, slice_rows
from recsys_core.ranking.inputs import propose
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
    """Candidates, features and labels of every slice before the test.

    Args:
        ratings: RATINGS.
        splits: slices with their targets; the test's are not needed.
        items: `item_features_by_slice`.
        users: `user_features_by_slice`.
        tower_of: the tower of a slice, fitted on nothing after its cut-off.
        n_candidates: candidates per user.
    """
    slices = []
    for name in splits.names:
        if name == TEST:
            continue
        tower = tower_of(name)
        known = slice_contexts(ratings, splits, name)
        inputs = propose(
            tower, None, known, of_slice(items, name), user_rows=of_slice(users, name), n_candidates=n_candidates
        )
        slices.append(slice_rows(name, inputs, tower.fit_end, splits))
    return make_examples(slices, splits)
