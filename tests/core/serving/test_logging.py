"""What is logged of an answer is what was asked, shown and read, bit for bit."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.feedback.parsing import read_history
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE, row_of, unpack_features
from recsys_core.ranking.config import NO_RULES, ListRulesConfig
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.logging import GREEDY, WARM_UP, impression_records, latencies_ms, policy_name, request_record
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Rated, Request
from tests import tiny_world
from tests.core.worlds import N_CANDIDATES

SERVED_AT = 1_700_000_000_250_000
STRANGER = 10**6


def answered(recommender: Recommender, user_id: int | None = 14, history: tuple[Rated, ...] = (), k: int = 7) -> Answer:
    asked = Request(request_id="r1", user_id=user_id, history=history, requested_at=recommender.now, k=k)
    return recommender.answer(asked)


def test_a_request_is_logged_as_it_was_asked(recommender: Recommender) -> None:
    logged = request_record(answered(recommender), "release", SERVED_AT)
    assert (logged.request_id, logged.user_id, logged.history, logged.k) == ("r1", 14, None, 7)
    assert (logged.requested_at, logged.served_at, logged.release) == (recommender.now, SERVED_AT, "release")


@pytest.mark.parametrize("user_id", [None, 14])
def test_the_history_that_came_with_a_request_is_logged_with_it(recommender: Recommender, user_id: int | None) -> None:
    """Also what was not read because it is too late: the log says what was asked."""
    now = recommender.now
    history = (Rated(item_id=5_007, rating=4.5, timestamp=now - 3), Rated(item_id=5_000, rating=0.5, timestamp=now + 1))
    logged = request_record(answered(recommender, user_id, history), "release", SERVED_AT)
    assert logged.user_id == user_id
    assert logged.history is not None
    assert read_history(logged.history) == [(5_007, 4.5, now - 3), (5_000, 0.5, now + 1)]


def test_each_slot_is_logged_with_what_put_it_there(recommender: Recommender) -> None:
    answer = answered(recommender)
    slots = impression_records(answer, "release", SERVED_AT)
    assert [one.position for one in slots] == list(range(1, 8))
    assert [one.item_id for one in slots] == answer.item_ids.tolist()
    assert [one.score for one in slots] == answer.scores.tolist() == sorted(answer.scores.tolist(), reverse=True)
    assert [one.retrieval_rank for one in slots] == answer.retrieval_ranks.tolist()
    assert answer.probabilities is not None
    assert [one.probability for one in slots] == answer.probabilities.tolist()
    of_all = {(one.request_id, one.user_id, one.release, one.requested_at, one.served_at) for one in slots}
    assert of_all == {("r1", 14, "release", recommender.now, SERVED_AT)}


def test_what_the_ranker_read_is_logged_bit_for_bit(recommender: Recommender) -> None:
    """Of somebody unknown, of whom much is missing; of all candidates, of which some lack a year."""
    answer = answered(recommender, STRANGER, k=N_CANDIDATES)
    slots = impression_records(answer, "release", SERVED_AT)
    assert len(np.unique(answer.states, axis=0)) > 1
    assert np.array_equal(
        unpack_features([one.features for one in slots]).view(np.uint32), answer.features.view(np.uint32)
    )
    assert [list(one.feature_states) for one in slots] == answer.states.tolist()
    assert {one.feature_set for one in slots} == {feature_set_version()}
    score = FEATURE_NAMES.index("pair_retrieval_score")
    assert [one.retrieval_score for one in slots] == answer.features[:, score].tolist()


def test_the_greedy_policy_leaves_nothing_to_chance(recommender: Recommender) -> None:
    slots = impression_records(answered(recommender), "release", SERVED_AT)
    assert {(one.policy, one.propensity) for one in slots} == {(GREEDY, 1.0)}


def test_rules_that_change_an_answer_are_in_the_name_of_its_policy(recommender: Recommender) -> None:
    rules = ListRulesConfig(rewatch_after_days=36_500, most_per_franchise=200, diversity=1 / 3)
    ranker = replace(recommender.bundle.ranker, list_rules=rules)
    slots = impression_records(
        answered(Recommender(bundle=replace(recommender.bundle, ranker=ranker))), "release", SERVED_AT
    )
    assert {one.policy for one in slots} == {"greedy+rewatch36500+mmr0.3333333333333333+franchise200"}
    assert {one.propensity for one in slots} == {1.0}
    for one in slots:
        row_of(IMPRESSIONS_TABLE, one)


def test_each_rule_that_is_off_is_not_in_the_name() -> None:
    assert policy_name(NO_RULES) == GREEDY
    assert policy_name(ListRulesConfig(diversity=0.2)) == "greedy+mmr0.2"
    assert policy_name(ListRulesConfig(most_per_franchise=2)) == "greedy+franchise2"
    assert policy_name(ListRulesConfig(rewatch_after_days=90)) == "greedy+rewatch90"


def test_without_a_calibration_no_probability_is_logged(recommender: Recommender) -> None:
    plain = replace(recommender.bundle, ranker=replace(recommender.bundle.ranker, calibration=None))
    slots = impression_records(answered(Recommender(bundle=plain)), "release", SERVED_AT)
    assert {one.probability for one in slots} == {None}


def test_an_answer_without_slots_is_a_request_without_impressions(recommender: Recommender) -> None:
    everything = recommender.somebody_who_likes(tiny_world.ITEM_IDS.tolist(), recommender.now)
    answer = answered(recommender, None, everything)
    assert impression_records(answer, "release", SERVED_AT) == []
    assert request_record(answer, "release", SERVED_AT).k == 7


def test_whatever_is_answered_is_fit_to_be_logged(recommender: Recommender) -> None:
    """The log refuses numbers of numpy, infinite scores and the like."""
    likes = recommender.somebody_who_likes([5_000, 5_007], recommender.now)
    for user_id in (*tiny_world.USER_IDS[:30].tolist(), STRANGER, None):
        for history in ((), likes):
            answer = answered(recommender, user_id, history)
            row_of(REQUESTS_TABLE, request_record(answer, "release", SERVED_AT))
            for one in impression_records(answer, "release", SERVED_AT):
                row_of(IMPRESSIONS_TABLE, one)


def test_each_answer_is_timed_by_the_clock_that_is_given(bundle: Bundle) -> None:
    ticks = itertools.chain.from_iterable((n, n + 0.001 * (n + 1)) for n in itertools.count())
    asked = [
        Request(request_id=str(n), user_id=int(tiny_world.USER_IDS[n % 5]), requested_at=4_000_000_000)
        for n in range(WARM_UP + 3)
    ]
    expected = [WARM_UP + 1, WARM_UP + 2, WARM_UP + 3]
    assert latencies_ms(bundle, asked, lambda: next(ticks)).tolist() == pytest.approx(expected)


def test_too_few_requests_give_no_figure(bundle: Bundle) -> None:
    asked = [Request(request_id="one", requested_at=4_000_000_000)]
    assert latencies_ms(bundle, asked, lambda: 0.0).tolist() == []
