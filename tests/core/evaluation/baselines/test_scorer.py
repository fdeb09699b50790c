"""What the models read of a history, and what stands in where they know nothing."""

import numpy as np
import pytest

from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.popularity import PopularityScorer, fit_popularity
from recsys_core.evaluation.baselines.scorer import input_matrix, popularity_prior, recommend
from recsys_core.evaluation.baselines.tuning import BASELINES, Baseline
from recsys_core.metrics.ranked_lists import tie_break_order


def test_each_input_reads_its_own_part_of_a_history(histories_from) -> None:
    histories = histories_from([[(0, 5.0, 0), (2, 2.0, 1)], []], 3)
    assert input_matrix(histories, "likes").toarray().tolist() == [[1, 0, 0], [0, 0, 0]]
    assert input_matrix(histories, "all").toarray().tolist() == [[1, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(input_matrix(histories, "rating").toarray(), [[1, 0, 0.4], [0, 0, 0]])


def test_the_prior_is_the_share_of_users_who_liked_and_stays_below_1(histories_from) -> None:
    prior = popularity_prior(histories_from([[(0, 5.0, 0), (1, 3.0, 0)], [(0, 4.0, 0)]], 3))
    np.testing.assert_allclose(prior, [2 / 3, 0, 0])


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
def test_no_baseline_recommends_what_the_user_has_rated(many_users, strangers, baseline: Baseline) -> None:
    scorer = baseline.fit(many_users, BaselinesConfig(), 1)
    ranked = recommend(scorer, strangers, k=40)
    for user, (start, stop) in enumerate(zip(strangers.offsets[:-1], strangers.offsets[1:], strict=True)):
        seen, listed = set(strangers.item_idx[start:stop]), ranked[user][ranked[user] >= 0]
        assert set(listed) == set(range(40)) - seen  # all others, each once
        assert (ranked[user][len(listed) :] == -1).all()


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
def test_a_list_depends_on_its_own_history_alone(many_users, strangers, baseline: Baseline) -> None:
    scorer = baseline.fit(many_users, BaselinesConfig(), 1)
    together = recommend(scorer, strangers, k=10)
    np.testing.assert_array_equal(recommend(scorer, strangers, k=10, batch=3), together)
    order = np.arange(strangers.n_users)[::-1]
    np.testing.assert_array_equal(recommend(scorer, strangers.select(order), k=10), together[order])


def test_lists_are_cut_at_k_best_first(histories_from) -> None:
    scorer = PopularityScorer(item_scores=np.array([1, 3, 2, 0], dtype=np.float32))
    assert recommend(scorer, histories_from([[], [(1, 1.0, 0)]], 4), k=2).tolist() == [[1, 2], [2, 0]]


def test_ties_follow_the_given_order(histories_from) -> None:
    scorer = PopularityScorer(item_scores=np.zeros(4, dtype=np.float32))
    histories = histories_from([[]], 4)
    assert recommend(scorer, histories, k=4, tie_break=np.array([2, 0, 3, 1])).tolist() == [[1, 3, 0, 2]]
    assert recommend(scorer, histories, k=4).tolist() == [np.argsort(tie_break_order(np.arange(4))).tolist()]


def test_no_users_give_no_lists(many_users, histories_from) -> None:
    scorer = fit_popularity(many_users, BaselinesConfig())
    assert recommend(scorer, histories_from([], 40), k=5).shape == (0, 5)
