"""One tower per slice: that of the test serves, the others make honest training data and an honest validation.

A ranker must learn from scores like those that it will meet: of a tower that has not seen what the user does next. So
each slice gets a tower fitted on nothing but what its models may see.
"""

from collections.abc import Callable

import polars as pl

from recsys_core.data.splits import Splits, fit_ratings
from recsys_core.features.slices import of_slice
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.training import AfterEpoch, FittedTower, Onlooker, fit_two_tower


def fit_towers(
    ratings: pl.DataFrame,
    items: pl.DataFrame,
    splits: Splits,
    config: TwoTowerConfig,
    watch: Callable[[str], AfterEpoch | None] | None = None,
    clicks: pl.DataFrame | None = None,
) -> dict[str, FittedTower]:
    """A tower for each slice, by name.

    Args:
        ratings: RATINGS.
        items: `item_features_by_slice`.
        splits: the cut-offs.
        config: the same for all towers.
        watch: told the name of each slice before its training; what it returns, if anything, looks at that tower.
        clicks: IMPLICIT_COLUMNS, if any: asked for in training as far as a slice's models may know them.
    """
    towers = {}
    for name in splits.names:
        look = None if watch is None else watch(name)
        towers[name] = fit_two_tower(
            fit_ratings(ratings, splits, name),
            of_slice(items, name),
            splits.fit_end(name),
            config,
            clicks=None if clicks is None else fit_ratings(clicks, splits, name),
            onlooker=Onlooker(after_epoch=look),
        )
    return towers
