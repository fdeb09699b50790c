"""One tower per slice: that of the test serves, the others make honest training data and an honest validation.

A ranker must learn from scores like those that it will meet: of a tower that has not seen what the user does next. So
each slice gets a tower fitted on nothing but what its models may see.
"""

from collections.abc import Callable
from functools import partial

import polars as pl
from threadpoolctl import threadpool_limits

from recsys_core.data.splits import Splits, fit_ratings
from recsys_core.features.slices import of_slice
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.training import AfterEpoch, FittedTower, Onlooker, fit_two_tower
from recsys_core.side_by_side import Check, side_by_side


def fit_towers(
    ratings: pl.DataFrame,
    items: pl.DataFrame,
    splits: Splits,
    config: TwoTowerConfig,
    watch: Callable[[str], AfterEpoch | None] | None = None,
    clicks: pl.DataFrame | None = None,
) -> dict[str, FittedTower]:
    """A tower for each slice, by name; `towers_at_once` of them are trained at a time, with the bits of each alone.

    Args:
        ratings: RATINGS.
        items: `item_features_by_slice`.
        splits: the cut-offs.
        config: the same for all towers.
        watch: told the name of each slice before its training; what it returns, if anything, looks at that tower.
        clicks: IMPLICIT_COLUMNS, if any: asked for in training as far as a slice's models may know them.
    """

    def tower_of(name: str, check: Check) -> FittedTower:
        look = None if watch is None else watch(name)
        return fit_two_tower(
            fit_ratings(ratings, splits, name),
            of_slice(items, name),
            splits.fit_end(name),
            config,
            clicks=None if clicks is None else fit_ratings(clicks, splits, name),
            onlooker=Onlooker(after_step=lambda _done, _total: check(), after_epoch=look),
        )

    # Each tower sets this limit for itself, but it is one for all threads: who ends first must not lift it.
    with threadpool_limits(limits=config.n_threads, user_api="blas"):
        towers = side_by_side([partial(tower_of, name) for name in splits.names], config.towers_at_once)
    return dict(zip(splits.names, towers, strict=True))
