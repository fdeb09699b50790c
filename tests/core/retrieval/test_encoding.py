"""Both halves, the trend and the bias as one vector."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_core.data.histories import histories_of
from recsys_core.retrieval.encoding import item_vectors, parts_of, user_vectors
from recsys_core.retrieval.training import encode_items, fit_two_tower
from recsys_core.retrieval.user_encoder import user_encoder
from tests.core.worlds import QUICK_TOWER, TinyRun, histories_from


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_a_score_is_the_sum_of_all_parts(tiny: TinyRun, weight: float) -> None:
    tower = replace(tiny.tower, closed_form_weight=weight)
    users = histories_of(tiny.ratings, tower.catalogue)
    asking, offered = user_encoder(tower.model).encode(users), encode_items(tower.model)
    trained = asking[:, :-1] @ offered[:, :-1].T
    closed = tower.closed_form.encode_users(users) @ tower.closed_form.offered.T
    trend = tower.trend.encode_users(users) @ tower.trend.offered.T
    found = user_vectors(tower, users) @ item_vectors(tower).T
    np.testing.assert_allclose(found, trained + weight * closed + trend + offered[:, -1], rtol=1e-4, atol=1e-4)


def test_each_part_lies_where_it_is_said_to(tiny: TinyRun) -> None:
    tower = replace(tiny.tower, closed_form_weight=2.0)
    users = histories_of(tiny.ratings, tower.catalogue)
    asking, offered, parts = user_vectors(tower, users), item_vectors(tower), parts_of(tower)
    assert np.array_equal(asking[:, parts.trained], user_encoder(tower.model).encode(users)[:, :-1])
    assert np.array_equal(offered[:, parts.trained], encode_items(tower.model)[:, :-1])
    assert np.array_equal(asking[:, parts.closed_form], tower.closed_form.encode_users(users))
    assert np.array_equal(offered[:, parts.closed_form], 2 * tower.closed_form.offered)
    assert np.array_equal(asking[:, parts.trend], tower.trend.encode_users(users))
    assert np.array_equal(offered[:, parts.trend], tower.trend.offered)
    assert (asking[:, parts.bias] == 1).all()
    assert np.array_equal(offered[:, parts.bias], encode_items(tower.model)[:, -1:])


def test_the_parts_are_the_whole_vector_once(tiny: TinyRun) -> None:
    parts, width = parts_of(tiny.tower), item_vectors(tiny.tower).shape[1]
    places = [
        place for part in (parts.trained, parts.closed_form, parts.trend, parts.bias) for place in range(width)[part]
    ]
    assert places == list(range(width))
    assert width == QUICK_TOWER.dim + tiny.tower.closed_form.rank + tiny.tower.trend.n_bins + 1


def test_an_empty_history_gets_what_the_trained_half_and_the_latest_trend_say(tiny: TinyRun) -> None:
    vector = user_vectors(tiny.tower, histories_from([[]], n_items=tiny.tower.catalogue.n_items))[0]
    parts = parts_of(tiny.tower)
    assert vector[parts.trained].tolist() == tiny.tower.model.everyone.tolist()
    assert not vector[parts.closed_form].any()
    assert vector[parts.trend].nonzero()[0].tolist() == [tiny.tower.trend.n_bins - 1]
    assert user_vectors(tiny.tower, histories_from([], n_items=tiny.tower.catalogue.n_items)).shape == (0, len(vector))


def test_the_weight_is_that_of_the_settings(tiny: TinyRun) -> None:
    config = QUICK_TOWER.model_copy(update={"closed_form_weight": 0.5, "n_epochs": 1})
    tower = fit_two_tower(tiny.ratings, tiny.item_rows, tiny.tower.fit_end, config)
    part = parts_of(tower).closed_form
    assert np.array_equal(item_vectors(tower)[:, part], tower.closed_form.offered / 2)
