"""The ranker's rows of all slices that ask anybody."""

import polars as pl

from recsys_core.data.splits import Splits, known_ratings
from recsys_core.features.tables import SliceFeatures, of_slice
from recsys_core.ranking.examples import RankingExamples, make_examples, slice_rows
from recsys_core.ranking.inputs import TowerOf, propose, proposer_of


def examples_of_slices(
    ratings: pl.DataFrame,
    splits: Splits,
    features: SliceFeatures,
    tower_of: TowerOf,
    *,
    n_candidates: int,
    clicks: pl.DataFrame | None = None,
) -> RankingExamples:
    """Candidates, features and labels of every slice that asks anybody.

    Args:
        ratings: RATINGS columns, every rating that was ever given.
        splits: slices with their targets.
        features: of every slice.
        tower_of: the tower of a slice, fitted on what its models may see.
        n_candidates: candidates per user.
        clicks: IMPLICIT_COLUMNS that the towers were fitted on beside the ratings, if any.
    """
    slices = []
    for name in splits.asking:
        inputs = propose(
            proposer_of(tower_of(name), of_slice(features.items, name)),
            known_ratings(ratings, splits, name),
            splits.requests(name),
            user_rows=of_slice(features.users, name),
            n_candidates=n_candidates,
        )
        slices.append(slice_rows(name, inputs, ratings, splits, clicks))
    return make_examples(slices, splits)
