"""EASE: both forms agree, no item explains itself, and it is the minimum that it claims to be."""

import numpy as np
import pytest

from recsys_core.data.histories import Histories
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.ease import DualEase, PrimalEase, fit_dual_ease, fit_ease, fit_primal_ease
from recsys_core.evaluation.baselines.scorer import PRIOR_WEIGHT, Scorer, input_matrix, popularity_prior


def learnt_weights(scorer: Scorer, histories_from, train: Histories) -> np.ndarray:
    """(n_items, n_items) B, read off the scores of users with a single item of five stars."""
    one_each = histories_from([[(item, 5.0, 0)] for item in range(train.n_items)], train.n_items)
    return scorer.score(one_each) - PRIOR_WEIGHT * popularity_prior(train)


@pytest.mark.parametrize("kind", ["likes", "all", "rating"])
@pytest.mark.parametrize("l2", [0.5, 10.0, 500.0])
@pytest.mark.parametrize("world", ["few_users", "many_users"])
def test_the_dual_and_the_primal_form_give_the_same_scores(
    request, strangers, world: str, l2: float, kind: str
) -> None:
    train, config = request.getfixturevalue(world), BaselinesConfig(ease_input=kind, ease_l2=l2)
    dual, primal = fit_dual_ease(train, config).score(strangers), fit_primal_ease(train, config).score(strangers)
    np.testing.assert_allclose(dual, primal, atol=1e-4)
    assert dual.dtype == primal.dtype == np.float32


@pytest.mark.parametrize("fit", [fit_dual_ease, fit_primal_ease])
def test_no_item_explains_itself(few_users, histories_from, fit) -> None:
    weights = learnt_weights(fit(few_users, BaselinesConfig(ease_l2=2.0)), histories_from, few_users)
    np.testing.assert_allclose(weights.diagonal(), 0, atol=1e-5)
    assert np.abs(weights).max() > 0.05


def test_the_weights_of_an_item_are_a_ridge_regression_on_all_others(many_users, histories_from) -> None:
    weights = learnt_weights(fit_ease(many_users, BaselinesConfig(ease_l2=3.0)), histories_from, many_users)
    read = input_matrix(many_users, "likes").toarray().astype(np.float64)
    others, target = np.delete(read, 7, axis=1), read[:, 7]
    ridge = np.linalg.solve(others.T @ others + 3.0 * np.eye(39), others.T @ target)
    np.testing.assert_allclose(np.delete(weights[:, 7], 7), ridge, atol=1e-5)


def test_the_cheaper_form_is_chosen(few_users, many_users) -> None:
    assert isinstance(fit_ease(few_users, BaselinesConfig()), DualEase)
    assert isinstance(fit_ease(many_users, BaselinesConfig()), PrimalEase)


@pytest.mark.parametrize("world", ["few_users", "many_users"])
def test_an_empty_history_and_one_of_dislikes_get_the_popular_items(request, histories_from, world: str) -> None:
    train = request.getfixturevalue(world)
    scores = fit_ease(train, BaselinesConfig()).score(histories_from([[], [(3, 1.0, 0)]], 40))
    np.testing.assert_allclose(scores, np.tile(PRIOR_WEIGHT * popularity_prior(train), (2, 1)))


@pytest.mark.parametrize("world", ["few_users", "many_users"])
def test_two_fits_on_the_same_data_give_the_same_bytes(request, strangers, world: str) -> None:
    train = request.getfixturevalue(world)
    first, second = (fit_ease(train, BaselinesConfig()).score(strangers) for _ in range(2))
    assert first.tobytes() == second.tobytes()
