"""NDCG by number of trees."""

from dataclasses import replace

import pytest

from recsys_core.data.splits import VALIDATION
from recsys_core.ranking.learning import N_LOOKS, learning_curve
from recsys_core.ranking.rehearsal import fit_before_validation
from recsys_core.ranking.validation import validate_ranker
from tests.core.worlds import QUICK_RANKER, TinyRun


def test_a_point_is_the_figure_of_a_ranker_with_so_many_trees(tiny: TinyRun) -> None:
    curve = learning_curve(tiny.rehearsal, tiny.examples).filter(slice=VALIDATION)
    n_trees = curve["round"][3]
    shorter = fit_before_validation(tiny.examples, QUICK_RANKER.model_copy(update={"n_rounds": n_trees}))
    expected = validate_ranker(shorter, tiny.examples).filter(order="ranking")["ndcg"].mean()
    assert curve["ndcg"][3] == pytest.approx(expected)


def test_the_last_point_is_the_finished_ranker(tiny: TinyRun) -> None:
    curve = learning_curve(tiny.rehearsal, tiny.examples).filter(slice=VALIDATION)
    assert curve.height == N_LOOKS
    assert curve["round"].is_sorted()
    assert curve["round"][-1] == QUICK_RANKER.n_rounds
    expected = validate_ranker(tiny.rehearsal, tiny.examples).filter(order="ranking")["ndcg"].mean()
    assert curve["ndcg"][-1] == pytest.approx(expected)


def test_it_is_compared_with_the_nearest_slice_that_was_learned_from(tiny: TinyRun) -> None:
    curve = learning_curve(tiny.rehearsal, tiny.examples)
    assert set(curve["slice"]) == {VALIDATION, "validation_holdout_15"}
    learned = curve.filter(slice="validation_holdout_15")["ndcg"]
    assert learned[-1] > learned[0], "on what it learned from, more trees do better"


def test_a_ranker_of_two_trees_has_two_points(tiny: TinyRun) -> None:
    short = replace(tiny.rehearsal, booster=tiny.rehearsal.booster[:2])
    assert learning_curve(short, tiny.examples).filter(slice=VALIDATION)["round"].to_list() == [1, 2]
