"""What the models read of a history, and what stands in where they know nothing."""

import numpy as np

from recsys_core.retrieval.baselines.scorer import input_matrix, popularity_prior


def test_each_input_reads_its_own_part_of_a_history(histories_from) -> None:
    histories = histories_from([[(0, 5.0, 0), (2, 2.0, 1)], []], 3)
    assert input_matrix(histories, "likes").toarray().tolist() == [[1, 0, 0], [0, 0, 0]]
    assert input_matrix(histories, "all").toarray().tolist() == [[1, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(input_matrix(histories, "rating").toarray(), [[1, 0, 0.4], [0, 0, 0]])


def test_the_prior_is_the_share_of_users_who_liked_and_stays_below_1(histories_from) -> None:
    prior = popularity_prior(histories_from([[(0, 5.0, 0), (1, 3.0, 0)], [(0, 4.0, 0)]], 3))
    np.testing.assert_allclose(prior, [2 / 3, 0, 0])
