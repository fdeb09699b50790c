"""What was watched at the time."""

import numpy as np
import pytest

from recsys_core.retrieval.encoding import item_vectors, parts_of
from recsys_core.retrieval.training import fit_two_tower
from recsys_core.retrieval.trend import N_BINS, PRIOR, fit_trend
from tests.core.worlds import QUICK_TOWER, TinyRun, histories_from

YEAR = 365 * 86_400
FULL = QUICK_TOWER.model_copy(update={"trend_weight": 1.0})


def ten_years() -> list[list[tuple[int, float, int]]]:
    """A hundred likes, evenly: item 0 in the first half, item 1 in the second, item 2 in both."""
    return [[(0 if year < 5 else 1, 5.0, year * YEAR), (2, 5.0, year * YEAR)] for year in range(10) for _ in range(5)]


def test_what_comes_up_gains_and_what_is_forgotten_loses() -> None:
    offered = fit_trend(histories_from(ten_years(), n_items=4), FULL).offered
    assert offered.shape == (4, N_BINS)
    assert offered[0, 0] > 0.3 > -0.3 > offered[0, -1]
    assert offered[1, -1] > 0.3 > -0.3 > offered[1, 0]
    assert np.abs(offered[2]).max() < 0.1  # always the same share
    assert np.abs(offered[3]).max() < 1e-6  # never rated: nothing is known


def test_one_moment_is_no_trend() -> None:
    users = histories_from([[(0, 5.0, 7), (1, 2.0, 7)], [(0, 4.0, 7)]], n_items=2)
    np.testing.assert_allclose(fit_trend(users, FULL).offered, 0, atol=1e-6)


def test_the_formula_by_loop() -> None:
    users = histories_from(ten_years(), n_items=4)
    trend = fit_trend(users, FULL)
    edges = np.quantile(users.timestamps, np.linspace(0, 1, N_BINS + 1))
    middles = (edges[1:] + edges[:-1]) / 2
    at = N_BINS // 3
    around = np.zeros(4)
    for item, time in zip(users.item_idx, users.timestamps, strict=True):
        home = max(b for b in range(N_BINS) if trend.starts[b] <= time)
        around[item] += np.exp(-(((middles[at] - middles[home]) / YEAR) ** 2) / 2)
    total = np.bincount(users.item_idx, minlength=4)
    expected = np.log((around / around.sum() * total.sum() + PRIOR) / (total + PRIOR))
    np.testing.assert_allclose(trend.offered[:, at], expected, rtol=1e-4, atol=1e-5)


def test_a_user_stands_at_the_latest_rating() -> None:
    trend = fit_trend(histories_from(ten_years(), n_items=4), FULL)
    asking = histories_from([[(0, 5.0, -9)], [(0, 1.0, 0), (1, 5.0, 99 * YEAR)], []], n_items=4)
    vectors = trend.encode_users(asking)
    assert (vectors.sum(axis=1) == 1).all()
    assert vectors[0, 0] == vectors[1, -1] == vectors[2, -1] == 1


def test_without_ratings_there_is_no_trend() -> None:
    trend = fit_trend(histories_from([[]], n_items=3), FULL)
    assert trend.offered.shape == (3, 0)
    assert trend.encode_users(histories_from([[], []], n_items=3)).shape == (2, 0)


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_the_weight_is_that_of_the_settings(tiny: TinyRun, weight: float) -> None:
    config = QUICK_TOWER.model_copy(update={"trend_weight": weight, "n_epochs": 1})
    tower = fit_two_tower(tiny.ratings, tiny.item_rows, tiny.tower.fit_end, config)
    found = item_vectors(tower)[:, parts_of(tower).trend]
    expected = weight * tiny.tower.trend.offered / QUICK_TOWER.trend_weight
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
