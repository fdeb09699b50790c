"""SHAP summed up: the feature that decides stands first, with the direction that it was given."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.ranking import explanations
from recsys_core.ranking.explanations import importance
from recsys_core.ranking.ranker import Ranker
from tests.core.worlds import TinyRun

FIRST, SECOND, THIRD = FEATURE_NAMES[:3]


class Planted(Ranker):
    """The score is 2 a - b, and the SHAP values say so; every other feature is idle."""

    def contributions(self, features: np.ndarray) -> np.ndarray:
        values = np.zeros((len(features), len(FEATURE_NAMES) + 1), dtype=np.float32)
        values[:, 0], values[:, 1], values[:, -1] = 2 * np.nan_to_num(features[:, 0]), -features[:, 1], 9
        return values


@pytest.fixture
def planted(tiny: TinyRun) -> Ranker:
    return Planted(booster=tiny.ranker.booster, feature_set={}, n_candidates=3)


def rows(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (n, len(FEATURE_NAMES))).astype(np.float32)


def test_strength_and_direction_by_hand(planted: Ranker) -> None:
    features = np.zeros((3, len(FEATURE_NAMES)), dtype=np.float32)
    features[:, 0], features[:, 1] = [1, 2, 3], [3, 0, 3]
    table = importance(planted, features)
    assert table["feature"][:2].to_list() == [FIRST, SECOND]
    assert table["mean_abs_shap"][:3].to_list() == [pytest.approx(4), pytest.approx(2), 0]
    assert table["direction"][:2].to_list() == pytest.approx([1, -1])
    assert table["direction"][2:].is_nan().all()  # neither they nor their SHAP values vary
    assert sorted(table["feature"]) == sorted(FEATURE_NAMES)


def test_the_base_which_is_the_same_for_all_is_no_feature(planted: Ranker) -> None:
    assert importance(planted, rows(50))["mean_abs_shap"].max() < 9


def test_rows_without_the_value_do_not_blur_its_direction(planted: Ranker) -> None:
    features = rows(100)
    features[::2, 0] = np.nan
    assert importance(planted, features).row(by_predicate=pl.col("feature") == FIRST)[2] == pytest.approx(1)
    features[:, 0] = np.nan
    assert np.isnan(importance(planted, features).row(by_predicate=pl.col("feature") == FIRST)[2])


def test_directions_are_scipys_rank_correlations(tiny: TinyRun) -> None:
    features = tiny.examples.rows.select(FEATURE_NAMES).to_numpy()[:2000]
    shap = tiny.ranker.contributions(features)
    table = importance(tiny.ranker, features)
    for name, strength, direction, _ in table.iter_rows():
        at = FEATURE_NAMES.index(name)
        assert strength == pytest.approx(np.abs(shap[:, at]).mean(), rel=1e-4)
        there = ~np.isnan(features[:, at])
        if np.ptp(features[there, at]) > 0 and np.ptp(shap[there, at]) > 0:
            assert direction == pytest.approx(spearmanr(features[there, at], shap[there, at]).statistic)
        else:
            assert np.isnan(direction)


def test_gains_stand_beside_it(tiny: TinyRun) -> None:
    table = importance(tiny.ranker, tiny.examples.rows.select(FEATURE_NAMES).to_numpy()[:100])
    gains = dict(tiny.ranker.importance().iter_rows())
    assert dict(table.select("feature", "gain").iter_rows()) == gains
    assert table["mean_abs_shap"].is_sorted(descending=True)


def test_of_many_rows_a_sample_is_explained_the_same_each_time(
    planted: Ranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = rows(4000)
    everything = importance(planted, features)
    monkeypatch.setattr(explanations, "MOST_ROWS", 2000)
    sample = importance(planted, features)
    assert sample.equals(importance(planted, features))
    assert not sample.equals(importance(planted, features, seed=18))
    assert sample["mean_abs_shap"][0] == pytest.approx(everything["mean_abs_shap"][0], rel=0.1)


def test_without_rows_nothing_is_known(tiny: TinyRun) -> None:
    table = importance(tiny.ranker, rows(0))
    assert table["mean_abs_shap"].is_nan().all()
    assert table["direction"].is_nan().all()
