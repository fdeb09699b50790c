"""NDCG by number of trees."""

from dataclasses import replace

import polars as pl
import pytest

from recsys_core.ranking.learning import N_LOOKS, learning_curve
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.ranking.validation import validate_ranker
from tests.core.worlds import QUICK_RANKER, TinyRun


def examined(tiny: TinyRun) -> Ranker:
    return tiny.examined[tiny.splits.development[-1]]


def test_a_point_is_the_figure_of_a_ranker_with_so_many_trees(tiny: TinyRun) -> None:
    curve = learning_curve(examined(tiny), tiny.examples).filter(pl.col("is_new"))
    n_trees = curve["round"][3]
    window, config = tiny.splits.development[-1], QUICK_RANKER.model_copy(update={"n_rounds": n_trees})
    moment = tiny.examples.start_of(window)
    fitted = fit_ranker(tiny.examples.known_before(moment), tiny.examples.feature_set, config, moment)
    shorter = replace(fitted, retrieval_weight=examined(tiny).retrieval_weight)
    expected = validate_ranker(shorter, tiny.examples, window).filter(order="ranking")["ndcg"].mean()
    assert curve["ndcg"][3] == pytest.approx(expected)


def test_the_last_point_is_the_finished_ranker(tiny: TinyRun) -> None:
    curve = learning_curve(examined(tiny), tiny.examples).filter(pl.col("is_new"))
    assert curve.height == N_LOOKS
    assert curve["round"].is_sorted()
    assert curve["round"][-1] == QUICK_RANKER.n_rounds
    expected = (
        validate_ranker(examined(tiny), tiny.examples, tiny.splits.development[-1])
        .filter(order="ranking")["ndcg"]
        .mean()
    )
    assert curve["ndcg"][-1] == pytest.approx(expected)


def test_it_is_compared_with_the_window_before_which_was_learned_from(tiny: TinyRun) -> None:
    curve = learning_curve(examined(tiny), tiny.examples)
    new = tiny.splits.development[-1]
    assert set(curve["window"]) == {new, tiny.examples.window_before(new)}
    assert curve.filter("is_new")["window"].unique().to_list() == [new]
    learned = curve.filter(~pl.col("is_new"))["ndcg"]
    assert learned[-1] > learned[0], "on what it learned from, more trees do better"


def test_a_ranker_of_two_trees_has_two_points(tiny: TinyRun) -> None:
    short = replace(examined(tiny), booster=examined(tiny).booster[:2])
    assert learning_curve(short, tiny.examples).filter(pl.col("is_new"))["round"].to_list() == [1, 2]
