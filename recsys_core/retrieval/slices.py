"""One tower per slice: that of the test serves, the others make honest training data and an honest validation.

A ranker must learn from scores like those that it will meet: of a tower that has not seen what the user does next. So
each slice gets a tower fitted on nothing but what its models may see.
"""

from collections.abc import Callable
from functools import partial

import polars as pl

from recsys_core.data.splits import Splits, fit_ratings
from recsys_core.features.slices import of_slice
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.training import FittedTower, fit_two_tower


def fit_towers(
    ratings: pl.DataFrame,
    items: pl.DataFrame,
    splits: Splits,
    config: TwoTowerConfig,
    progress: Callable[[str], None] | None = None,
    after_epoch: Callable[[str, int, FittedTower], None] | None = None,
) -> dict[str, FittedTower]:
    """A tower for each slice, by name.

    Args:
        ratings: RATINGS.
        items: `item_features_by_slice`.
        splits: the cut-offs.
        config: the same for all towers.
        progress: told the name of each slice before its training.
        after_epoch: shown name, epochs done and tower after each epoch; see `fit_two_tower`.
    """
    towers = {}
    for name in splits.names:
        if progress is not None:
            progress(name)
        towers[name] = fit_two_tower(
            fit_ratings(ratings, splits, name),
            of_slice(items, name),
            splits.fit_end(name),
            config,
            after_epoch=partial(after_epoch, name) if after_epoch else None,
        )
    return towers
