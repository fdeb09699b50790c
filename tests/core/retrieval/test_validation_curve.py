"""What is seen of a training while it goes on, and that looking changes nothing."""

import numpy as np
import polars as pl
import pytest
import torch

from recsys_core.data.splits import NOW
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.model import RetrievalModel
from recsys_core.retrieval.report import CURVE_RECALL_AT, N_LOOKS, ValidationCurve, slice_recall
from recsys_core.retrieval.training import fit_retrieval_models
from tests.core.worlds import QUICK_TRAINING, TinyRun


@pytest.fixture(scope="module")
def watched(tiny: TinyRun) -> tuple[ValidationCurve, dict[str, RetrievalModel]]:
    """The towers of the tiny world again, looked at this time."""
    curve = ValidationCurve(ratings=tiny.ratings, splits=tiny.splits, n_epochs=QUICK_TRAINING.refit_epochs)
    return curve, fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, QUICK_TRAINING, curve)


def test_looking_changes_no_weight(tiny: TinyRun, watched: tuple[ValidationCurve, dict[str, RetrievalModel]]) -> None:
    for name, model in watched[1].items():
        assert np.array_equal(model.trained_items, tiny.models[name].trained_items), name
        assert np.array_equal(model.losses, tiny.models[name].losses)


def test_drawing_of_chance_while_looking_changes_no_weight(tiny: TinyRun) -> None:
    config = TwoTowerConfig(dim=4, n_epochs=2, refit_epochs=1)
    plain = fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, config)
    drawn = fit_retrieval_models(
        tiny.ratings, tiny.items, tiny.splits, config, lambda _: lambda *_: torch.rand(1) and None
    )
    assert np.array_equal(plain[NOW].trained_items, drawn[NOW].trained_items)


def test_the_last_point_is_the_figure_of_the_finished_tower(
    tiny: TinyRun, watched: tuple[ValidationCurve, dict[str, RetrievalModel]]
) -> None:
    points, model = watched[0].points(), watched[1][tiny.asked]
    finished = slice_recall(tiny.ratings, tiny.splits, model, tiny.asked).filter(k=CURVE_RECALL_AT)["recall"].mean()
    assert points.row(-1) == (QUICK_TRAINING.refit_epochs, pytest.approx(finished))


def test_earlier_points_are_those_of_earlier_towers(tiny: TinyRun) -> None:
    """Each look encodes its users anew; an encoder kept from the first look would show an untrained tower for ever."""
    config = TwoTowerConfig(dim=16, n_epochs=3, refit_epochs=2, closed_form_weight=0.0)
    seen: list[np.ndarray] = []

    def look(epoch: int, model: RetrievalModel) -> None:
        seen.append(model.user_encoder.rated)

    fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, config, lambda _: look)
    assert len(seen) == config.n_epochs + config.refit_epochs * (len(tiny.splits.names) - 1)
    assert not np.array_equal(seen[0], seen[1])


@pytest.mark.parametrize("n_epochs", [1, 5, 12, 60, 100])
def test_there_are_few_looks_and_the_last_epoch_is_one(tiny: TinyRun, n_epochs: int) -> None:
    curve = ValidationCurve(ratings=tiny.ratings, splits=tiny.splits, n_epochs=n_epochs)
    look = curve(tiny.asked)
    assert look is not None
    for epoch in range(1, n_epochs + 1):
        look(epoch, tiny.models[tiny.asked])
    epochs = curve.points()["epoch"].to_list()
    assert epochs == sorted(set(epochs))
    assert epochs[-1] == n_epochs
    assert len(epochs) <= N_LOOKS * 1.5


def test_before_the_first_look_there_is_no_point(tiny: TinyRun) -> None:
    empty = ValidationCurve(ratings=tiny.ratings, splits=tiny.splits, n_epochs=3).points()
    assert empty.schema == pl.Schema({"epoch": pl.Int64, "recall": pl.Float64})
    assert empty.is_empty()


def test_every_slice_is_told_of_and_one_is_looked_at(tiny: TinyRun) -> None:
    told: list[str] = []
    curve = ValidationCurve(ratings=tiny.ratings, splits=tiny.splits, n_epochs=3, tell=told.append)
    assert [name for name in tiny.splits.names if curve(name)] == [tiny.asked]
    assert told == tiny.splits.names
