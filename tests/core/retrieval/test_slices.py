"""One tower per slice of time."""

import numpy as np
import polars as pl

from recsys_core.features.slices import of_slice
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.slices import fit_towers
from recsys_core.retrieval.training import encode_items, fit_two_tower
from tests.core.worlds import QUICK_TOWER, TinyRun


def test_each_slice_has_a_tower_that_ends_where_the_slice_begins(tiny: TinyRun) -> None:
    assert list(tiny.towers) == tiny.splits.names
    for name, tower in tiny.towers.items():
        assert tower.fit_end == tiny.splits.fit_end(name)
        known = tiny.ratings.filter(pl.col("timestamp") < tower.fit_end)["item_id"].unique().sort()
        assert np.array_equal(tower.catalogue.item_ids, known.to_numpy())


def test_a_tower_of_a_slice_is_the_one_fitted_on_its_past_alone(tiny: TinyRun) -> None:
    for name in ("train_1", "validation"):
        past = tiny.ratings.filter(pl.col("timestamp") < tiny.splits.fit_end(name))
        alone = fit_two_tower(past, of_slice(tiny.items, name), tiny.splits.fit_end(name), QUICK_TOWER)
        assert np.array_equal(encode_items(alone.model), encode_items(tiny.towers[name].model))


def test_progress_names_each_slice_once(tiny: TinyRun) -> None:
    told: list[str] = []
    fit_towers(tiny.ratings, tiny.items, tiny.splits, TwoTowerConfig(dim=4, n_epochs=1), told.append)
    assert told == ["train_1", "train_2", "train_3", "train_4", "validation", "test"]
