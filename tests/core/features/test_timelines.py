"""Counts before any moment, against the loop that anyone would write."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.features.timelines import Timeline, timeline_of

Event = tuple[int, int, tuple[int, int]]
"""Key, time, what it counts."""

KEYS, TIMES = st.integers(-3, 4), st.integers(-6, 6)
EVENTS = st.lists(st.tuples(KEYS, TIMES, st.tuples(st.integers(-9, 9), st.integers(0, 2**40))), max_size=25)
QUESTIONS = st.lists(st.tuples(KEYS, st.integers(-9, 9)), min_size=1, max_size=20)


def timeline(events: list[Event]) -> Timeline:
    keys, times = (np.array([event[at] for event in events], dtype=np.int64) for at in (0, 1))
    return timeline_of(keys, times, np.array([event[2] for event in events], dtype=np.int64).reshape(-1, 2))


def answers(made: Timeline, questions: list[tuple[int, int]]) -> list[list[int]]:
    keys, times = (np.array(column, dtype=np.int64) for column in zip(*questions, strict=True))
    return [list(row) for row in made.before(keys, times).tolist()]


def slowly(events: list[Event], key: int, time: int) -> list[int]:
    """The totals of a key before a time, one event at a time."""
    before = [counted for own, at, counted in events if own == key and at < time]
    return [sum(counted[column] for counted in before) for column in (0, 1)]


@given(EVENTS, QUESTIONS)
def test_it_agrees_with_the_slow_loop(events: list[Event], questions: list[tuple[int, int]]) -> None:
    assert answers(timeline(events), questions) == [slowly(events, *question) for question in questions]


@given(EVENTS, st.randoms(use_true_random=False), QUESTIONS)
def test_the_order_of_the_events_changes_nothing(
    events: list[Event], rng: Random, questions: list[tuple[int, int]]
) -> None:
    mixed = [*events]
    rng.shuffle(mixed)
    assert answers(timeline(mixed), questions) == answers(timeline(events), questions)


@given(EVENTS, EVENTS, QUESTIONS)
def test_what_comes_later_changes_no_count(
    past: list[Event], future: list[Event], questions: list[tuple[int, int]]
) -> None:
    """Events at or after the latest question, of old keys and of new ones."""
    latest = max(time for _, time in questions)
    known = [event for event in past if event[1] < latest]
    later = [(key * 7, latest + abs(time), counted) for key, time, counted in future]
    assert answers(timeline([*later, *known]), questions) == answers(timeline(known), questions)


@given(EVENTS, st.lists(KEYS, min_size=1))
def test_the_first_time_of_a_key_is_its_earliest_and_of_an_unknown_one_zero(
    events: list[Event], keys: list[int]
) -> None:
    expected = [min((time for key, time, _ in events if key == own), default=0) for own in keys]
    assert timeline(events).first_times(np.array(keys)).tolist() == expected


@pytest.mark.parametrize(("time", "counted"), [(9, 0), (10, 0), (11, 1), (12, 3), (10**12, 3)])
def test_an_event_of_the_same_second_is_not_known_yet(time: int, counted: int) -> None:
    made = timeline([(5, 10, (1, 0)), (5, 11, (2, 0)), (6, 0, (9, 9))])
    assert answers(made, [(5, time)]) == [[counted, 0]]


def test_without_events_everything_is_zero() -> None:
    nothing = timeline([])
    assert answers(nothing, [(1, 0), (2, 99)]) == [[0, 0], [0, 0]]
    assert nothing.first_times(np.array([1])).tolist() == [0]


def test_nothing_asked_is_answered_with_the_right_width() -> None:
    nobody = np.zeros(0, dtype=np.int64)
    assert timeline([(1, 1, (1, 1))]).before(nobody, nobody).shape == (0, 2)


def test_a_million_keys_over_a_century_do_not_meet() -> None:
    """One number stands for each (key, time): it must not run over, nor let the end of one key reach into the next."""
    keys, century = np.arange(10**6), 36_525 * 86_400
    times = np.where(keys % 2 == 0, 0, century)
    made = timeline_of(keys, times, np.ones((len(keys), 1), dtype=np.int64))
    for time, expected in ((0, 0), (1, 1 - keys % 2), (century, 1 - keys % 2), (century + 1, 1), (10**12, 1), (-5, 0)):
        found = made.before(keys, np.full(len(keys), time))[:, 0]
        assert np.array_equal(found, np.broadcast_to(expected, found.shape)), time
