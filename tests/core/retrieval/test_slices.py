"""One tower per slice."""

import signal
import threading
import time

import numpy as np
import pytest
import torch

from recsys_core.data.digests import ratings_digest
from recsys_core.data.splits import fit_ratings
from recsys_core.features.slices import of_slice
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.slices import fit_towers
from recsys_core.retrieval.training import encode_items, fit_two_tower
from tests.core.worlds import QUICK_TOWER, TinyRun


def test_each_slice_has_a_tower_that_saw_what_its_models_may_see(tiny: TinyRun) -> None:
    assert list(tiny.towers) == tiny.splits.names
    for name, tower in tiny.towers.items():
        allowed = fit_ratings(tiny.ratings, tiny.splits, name)
        assert tower.fit_end == tiny.splits.fit_end(name)
        assert tower.fitted_on == ratings_digest(allowed)
        assert np.array_equal(tower.catalogue.item_ids, allowed["item_id"].unique().sort().to_numpy())


def test_a_tower_of_a_slice_is_the_one_fitted_without_its_targets(tiny: TinyRun) -> None:
    for name in ("test_holdout_15", "validation"):
        targets = tiny.splits.targets.filter(slice=name)
        past = tiny.ratings.join(targets, on=["user_id", "item_id"], how="anti", maintain_order="left")
        past = fit_ratings(past, tiny.splits, name)
        alone = fit_two_tower(past, of_slice(tiny.items, name), tiny.splits.fit_end(name), QUICK_TOWER)
        assert np.array_equal(encode_items(alone.model), encode_items(tiny.towers[name].model))


def test_how_many_are_trained_at_once_changes_no_bit(tiny: TinyRun) -> None:
    """Neither the weights, nor what was drawn for them, nor the threads and the chance of the process."""
    threads, chance = torch.get_num_threads(), torch.get_rng_state()
    alone, together = (
        fit_towers(tiny.ratings, tiny.items, tiny.splits, TwoTowerConfig(dim=4, n_epochs=3, towers_at_once=n))
        for n in (1, 4)
    )
    for name in tiny.splits.names:
        assert np.array_equal(encode_items(alone[name].model), encode_items(together[name].model))
        assert np.array_equal(alone[name].losses, together[name].losses)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), chance)


def test_progress_names_each_slice_once(tiny: TinyRun) -> None:
    told: list[str] = []
    fit_towers(tiny.ratings, tiny.items, tiny.splits, TwoTowerConfig(dim=4, n_epochs=1), told.append)
    assert sorted(told) == sorted(tiny.splits.names)


def test_an_interrupt_ends_the_trainings_at_their_next_step(tiny: TinyRun) -> None:
    """Of a thousand epochs."""
    begun = threading.Barrier(2, timeout=60)
    main = threading.main_thread().ident or 0

    def begin(_: str) -> None:
        if begun.wait() == 0:
            threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()

    config = TwoTowerConfig(dim=4, n_epochs=1000, batch_users=8)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fit_towers(tiny.ratings, tiny.items, tiny.splits, config, begin)
    assert time.monotonic() - started < 20
