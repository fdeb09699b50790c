"""Counts of all time and of a window that ends before the fit."""

import numpy as np
import pytest

from recsys_core.days import DAY_S
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.popularity import fit_popularity, fit_recent_popularity


def test_popularity_counts_likes_or_all_ratings(histories_from) -> None:
    train = histories_from([[(0, 5.0, 0), (1, 1.0, 0)], [(1, 2.0, 0), (0, 4.0, 0)], [(1, 5.0, 0)]], 3)
    assert fit_popularity(train, BaselinesConfig()).item_scores.tolist() == [2, 1, 0]
    assert fit_popularity(train, BaselinesConfig(popularity_input="all")).item_scores.tolist() == [2, 3, 0]


def test_at_power_1_every_user_has_one_vote_to_split(histories_from) -> None:
    train = histories_from([[(0, 5.0, 0), (1, 5.0, 0)], [(2, 5.0, 0)], []], 3)
    scores = fit_popularity(train, BaselinesConfig(popularity_user_power=1.0)).item_scores
    np.testing.assert_allclose(scores, [0.5, 0.5, 1.0])


def test_everybody_gets_the_same_scores(few_users, strangers) -> None:
    scorer = fit_popularity(few_users, BaselinesConfig())
    assert (scorer.score(strangers) == scorer.item_scores).all()
    assert scorer.score(strangers).dtype == np.float32


def test_recent_popularity_counts_from_the_start_of_the_window_to_just_before_the_fit(histories_from) -> None:
    fit_end = 10 * DAY_S
    start = fit_end - 2 * DAY_S
    times = [start - 1, start, fit_end - 1, fit_end]
    train = histories_from([[(item, 5.0, at) for item, at in enumerate(times)]], 4)
    scores = fit_recent_popularity(train, BaselinesConfig(recent_window_days=2), fit_end=fit_end).item_scores
    assert np.floor(scores).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("kind", ["likes", "all"])
def test_events_at_or_after_the_fit_move_no_recent_count(histories_from, kind: str) -> None:
    config = BaselinesConfig(recent_input=kind, recent_window_days=1)
    known = [(0, 5.0, 50), (1, 2.0, 60)]
    before = fit_recent_popularity(histories_from([known], 3), config, fit_end=100)
    after = fit_recent_popularity(histories_from([[*known, (2, 1.0, 100)]], 3), config, fit_end=100)
    np.testing.assert_array_equal(before.item_scores, after.item_scores)


def test_items_that_nobody_rated_lately_are_ordered_by_all_time_popularity(histories_from) -> None:
    fit_end = 400 * DAY_S
    train = histories_from([[(0, 5.0, 0), (1, 5.0, 0)], [(1, 5.0, 0)], [(2, 5.0, fit_end - 1)]], 3)
    scores = fit_recent_popularity(train, BaselinesConfig(recent_window_days=30), fit_end=fit_end).item_scores
    assert np.argsort(-scores).tolist() == [2, 1, 0]
