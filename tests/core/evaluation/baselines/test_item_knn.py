"""Neighbours: by a slow loop, by structure, and for users without anything."""

import numpy as np
import pytest

from recsys_core.evaluation.baselines import item_knn
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.item_knn import fit_item_knn
from recsys_core.evaluation.baselines.scorer import PRIOR_WEIGHT, input_matrix, popularity_prior


@pytest.mark.parametrize("kind", ["likes", "all", "rating"])
def test_with_all_neighbours_the_scores_are_those_of_the_dense_formula(many_users, strangers, kind: str) -> None:
    config = BaselinesConfig(item_knn_input=kind, item_knn_neighbours=40, item_knn_shrinkage=3.0)
    read = input_matrix(many_users, kind).toarray().astype(np.float64)
    norms = np.linalg.norm(read, axis=0)
    similar = read.T @ read / (np.outer(norms, norms) + 3.0)
    np.fill_diagonal(similar, 0)
    expected = input_matrix(strangers, kind).toarray() @ similar + PRIOR_WEIGHT * popularity_prior(many_users)
    np.testing.assert_allclose(fit_item_knn(many_users, config).score(strangers), expected, atol=1e-5)


def test_each_item_keeps_its_most_similar_neighbours_and_never_itself(many_users) -> None:
    few = fit_item_knn(many_users, BaselinesConfig(item_knn_neighbours=5)).neighbour_of.T.toarray()
    every = fit_item_knn(many_users, BaselinesConfig(item_knn_neighbours=40)).neighbour_of.T.toarray()
    assert ((few > 0).sum(axis=1) <= 5).all()
    assert not few.diagonal().any()
    np.testing.assert_array_equal(np.sort(few, axis=1)[:, -5:], np.sort(every, axis=1)[:, -5:])


def test_the_size_of_the_blocks_does_not_matter(many_users, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = fit_item_knn(many_users, BaselinesConfig()).neighbour_of.T.toarray()
    monkeypatch.setattr(item_knn, "BLOCK", 7)
    np.testing.assert_array_equal(fit_item_knn(many_users, BaselinesConfig()).neighbour_of.T.toarray(), at_once)


def test_shrinkage_prefers_a_pair_that_many_share_to_one_that_a_single_user_shares(histories_from) -> None:
    users = [[(0, 5.0, 0), (1, 5.0, 0)]] * 8 + [[(0, 5.0, 0)]] * 2 + [[(2, 5.0, 0), (3, 5.0, 0)]]
    train = histories_from(users, 4)
    by_chance = fit_item_knn(train, BaselinesConfig(item_knn_shrinkage=0.0)).neighbour_of.T
    damped = fit_item_knn(train, BaselinesConfig(item_knn_shrinkage=5.0)).neighbour_of.T
    assert by_chance[0, 1] < by_chance[2, 3]
    assert damped[0, 1] > damped[2, 3]


def test_an_empty_history_gets_the_popular_items(many_users, histories_from) -> None:
    scores = fit_item_knn(many_users, BaselinesConfig()).score(histories_from([[]], 40))
    np.testing.assert_allclose(scores[0], PRIOR_WEIGHT * popularity_prior(many_users))
