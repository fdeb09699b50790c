"""One tower per slice, each starting from the one before it."""

import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch

from recsys_core.data.ratings_table import ratings_digest
from recsys_core.data.splits import NOW, fit_ratings
from recsys_core.features.tables import item_features_by_slice, of_slice
from recsys_core.feedback.schemas import IMPLICIT_COLUMNS
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.model import RetrievalModel, fitted_digest
from recsys_core.retrieval.training import TrainingExtras, fit_retrieval_models, train_retrieval_model
from tests.core.worlds import QUICK_TRAINING, TinyRun


def assert_same(made: Mapping[str, RetrievalModel], expected: Mapping[str, RetrievalModel]) -> None:
    """To the bit, all parts."""
    for name, model in expected.items():
        other = made[name]
        for one, two in zip(arrays_of(model), arrays_of(other), strict=True):
            assert np.array_equal(one, two), name
        assert model.fitted_on == other.fitted_on


def arrays_of(model: RetrievalModel) -> list[npt.NDArray[np.generic]]:
    return [
        *vars(model.user_encoder).values(),
        model.trained_items,
        model.losses,
        model.first_rated_at,
        model.ease.target_factors,
        model.trend.item_factors,
        model.rating_model.factors,
        model.rating_model.gains,
        model.neighbours.item_idx,
        model.neighbours.recency,
        model.covisits.matrix.data,
    ]


def test_each_slice_has_a_tower_that_saw_what_its_models_may_see(tiny: TinyRun) -> None:
    assert list(tiny.models) == tiny.splits.names
    for name, model in tiny.models.items():
        allowed = fit_ratings(tiny.ratings, tiny.splits, name)
        assert model.fit_end == tiny.splits.fit_end(name)
        assert model.fitted_on == ratings_digest(allowed)
        assert np.array_equal(model.catalogue.item_ids, allowed["item_id"].unique().sort().to_numpy())


def test_the_last_tower_of_the_chain_has_seen_everything(tiny: TinyRun) -> None:
    assert list(tiny.models)[-1] == NOW
    assert tiny.models[NOW].fitted_on == ratings_digest(tiny.ratings)


def test_a_tower_of_a_slice_is_the_one_fitted_without_anything_from_its_cut_off_on(tiny: TinyRun) -> None:
    """Also without what the towers after it have seen: the chain up to here, trained on the past alone."""
    name = tiny.splits.asking[3]
    names = tiny.splits.names[: tiny.splits.names.index(name) + 1]
    chain = replace(tiny.splits, cutoffs=tiny.splits.cutoffs.filter(pl.col("slice").is_in(names)))
    past = tiny.ratings.filter(pl.col("timestamp") < tiny.splits.fit_end(name))
    items = item_features_by_slice(past, tiny.movies, chain)
    alone = fit_retrieval_models(past, items, chain, QUICK_TRAINING)
    assert list(alone) == names
    assert_same(alone, {name: tiny.models[name] for name in names})


def test_each_tower_goes_on_from_the_one_before_it(tiny: TinyRun) -> None:
    by_hand, start = {}, None
    for name in tiny.splits.names[:3]:
        start = train_retrieval_model(
            fit_ratings(tiny.ratings, tiny.splits, name),
            of_slice(tiny.items, name),
            tiny.splits.fit_end(name),
            QUICK_TRAINING,
            extras=TrainingExtras(start=start),
        )
        by_hand[name] = start.model
    assert_same(by_hand, {name: tiny.models[name] for name in by_hand})
    lengths = [len(model.losses) for model in tiny.models.values()]
    assert lengths == [QUICK_TRAINING.n_epochs, *[QUICK_TRAINING.refit_epochs] * (len(tiny.models) - 1)]


@pytest.mark.slow
def test_the_same_chain_trained_again_gives_the_same_towers_to_the_bit(tiny: TinyRun) -> None:
    """Neither the weights, nor the parts that are fitted beside them, nor the threads and the chance of the process."""
    threads, chance = torch.get_num_threads(), torch.get_rng_state()
    assert_same(fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, QUICK_TRAINING), tiny.models)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), chance)


def test_another_seed_gives_other_towers(tiny: TinyRun) -> None:
    config = QUICK_TRAINING.model_copy(update={"n_epochs": 1, "refit_epochs": 1})
    one, other = (
        fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, config.model_copy(update={"seed": seed}))
        for seed in (1, 2)
    )
    for name in tiny.splits.names:
        assert not np.array_equal(one[name].trained_items, other[name].trained_items)


def test_a_rating_that_was_replaced_later_is_what_the_earlier_towers_saw(tiny: TinyRun) -> None:
    """The first rating of all is taken back on the last day: only the towers that know of that are others."""
    config = QUICK_TRAINING.model_copy(update={"n_epochs": 2, "refit_epochs": 1})
    last = int(tiny.ratings["timestamp"].max())  # type: ignore[arg-type]
    again = tiny.ratings.head(1).with_columns(timestamp=pl.lit(last), rating=5.5 - pl.col("rating"))
    every = pl.concat([tiny.ratings, again.cast(dict(tiny.ratings.schema))])
    items = item_features_by_slice(every, tiny.movies, tiny.splits)
    one, other = (
        fit_retrieval_models(ratings, table, tiny.splits, config)
        for ratings, table in ((tiny.ratings, tiny.items), (every, items))
    )
    earlier = [name for name in one if tiny.splits.fit_end(name) <= last]
    assert_same({name: other[name] for name in earlier}, {name: one[name] for name in earlier})
    assert other[NOW].fitted_on != one[NOW].fitted_on


def test_clicks_are_part_of_what_a_tower_was_fitted_on_from_their_time_on(tiny: TinyRun) -> None:
    first, second = tiny.splits.names[:2]
    at = tiny.splits.fit_end(first)
    user, item = tiny.ratings.select("user_id", "item_id").row(0)
    clicks = pl.DataFrame([(user, item, at, None, "e1", None, 1.0)], schema=IMPLICIT_COLUMNS, orient="row")
    assert fitted_digest(tiny.ratings, clicks, tiny.splits, first) == tiny.models[first].fitted_on
    assert fitted_digest(tiny.ratings, clicks, tiny.splits, second) != tiny.models[second].fitted_on
    config = QUICK_TRAINING.model_copy(update={"n_epochs": 1, "refit_epochs": 1})
    models = fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, config, clicks=clicks)
    for name, model in models.items():
        assert model.fitted_on == fitted_digest(tiny.ratings, clicks, tiny.splits, name)


def test_progress_names_each_slice_once_and_in_order(tiny: TinyRun) -> None:
    told: list[str] = []
    config = TwoTowerConfig(dim=4, n_epochs=1, refit_epochs=1)
    fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, config, told.append)
    assert told == tiny.splits.names


def test_an_interrupt_ends_the_trainings_at_their_next_step(tiny: TinyRun) -> None:
    """Of a thousand epochs."""
    main = threading.main_thread().ident or 0

    def begin(name: str) -> None:
        if name == tiny.splits.names[0]:
            threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()

    config = TwoTowerConfig(dim=4, n_epochs=1000, batch_users=8)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, config, begin)
    assert time.monotonic() - started < 20


def test_a_fault_of_the_linear_parts_ends_the_training_as_well(tiny: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training waits for them in another thread: it must not wait for ever."""

    def fail(*_: object) -> None:
        raise MemoryError("no room for the factors")

    monkeypatch.setattr("recsys_core.retrieval.training.fit_linear_parts", fail)
    config = TwoTowerConfig(dim=4, n_epochs=1, refit_epochs=1)
    with pytest.raises(MemoryError, match="no room for the factors"):
        fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, config)
