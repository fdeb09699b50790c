"""How often an item was shown and left alone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from recsys_core.features.exposures import FATIGUE_DAYS, Exposures, TimedItems
from recsys_core.features.user_item import pair_shown_unclicked
from tests.core.features.asked import Asked, pairs_of, side_of
from tests.core.worlds import Rating

DAY = 86_400
NOW = 100 * DAY
SIDE = side_of([[1.0]] * 4)

Mark = tuple[int, int]
"""item_idx, seconds before the request."""


def marks_of(*users: Sequence[Mark]) -> TimedItems:
    flat = [mark for user in users for mark in sorted(user, key=lambda mark: -mark[1])]
    return TimedItems(
        offsets=np.cumsum([0, *map(len, users)], dtype=np.int64),
        item_idx=np.array([item for item, _ in flat], dtype=np.int64),
        times=np.array([NOW - ago for _, ago in flat], dtype=np.int64),
    )


def counted(
    shown: Sequence[Mark], clicked: Sequence[Mark] = (), rated: Sequence[Rating] = (), at: int = NOW
) -> list[float]:
    """Of the four items."""
    exposures = Exposures(requested_at=np.array([at]), shown=marks_of(shown), clicked=marks_of(clicked))
    pairs = replace(pairs_of([list(rated)], [[0, 1, 2, 3]], SIDE), exposures=exposures)
    values = pairs.value(pair_shown_unclicked)
    assert values.dtype == np.float32
    return values[0].tolist()


def test_each_request_that_showed_the_item_counts() -> None:
    assert counted([(0, 5), (1, 5), (0, 9), (0, DAY)]) == [3, 1, 0, 0]


def test_a_click_resets_the_count_and_what_is_shown_after_it_counts_anew() -> None:
    shown = [(0, 90), (0, 80), (0, 50), (0, 40), (0, 30), (1, 90)]
    assert counted(shown, clicked=[(0, 60)]) == [3, 1, 0, 0]
    assert counted(shown, clicked=[(0, 60), (0, 35)]) == [1, 1, 0, 0]
    assert counted(shown, clicked=[(0, 35), (0, 60), (2, 1)]) == [1, 1, 0, 0]
    assert counted(shown, clicked=[(0, 1), (1, 1)]) == [0, 0, 0, 0]


def test_a_rating_resets_it_as_well() -> None:
    shown = [(0, 90), (0, 50), (1, 90)]
    assert counted(shown, rated=[(0, 0.5, NOW - 60)]) == [1, 1, 0, 0]
    assert counted(shown, rated=[(0, 5.0, NOW - 60)], clicked=[(0, 40)]) == [0, 1, 0, 0]
    assert counted(shown, rated=[(0, 5.0, NOW - 40)], clicked=[(0, 60)]) == [0, 1, 0, 0]


def test_an_answer_in_the_second_of_the_slot_is_one_to_it() -> None:
    assert counted([(0, 50)], clicked=[(0, 50)]) == [0, 0, 0, 0]
    assert counted([(0, 50)], clicked=[(0, 51)]) == [1, 0, 0, 0]


def test_after_thirty_days_it_is_forgotten() -> None:
    assert FATIGUE_DAYS == 30, "the docstring of the feature says so, too"
    shown = [(0, 30 * DAY), (1, 30 * DAY + 1)]
    assert counted(shown) == [1, 0, 0, 0]
    assert counted(shown, at=NOW + 1) == [0, 0, 0, 0]


def test_where_nothing_was_ever_shown_nothing_is_counted() -> None:
    assert counted([]) == [0, 0, 0, 0]
    assert pairs_of([[]], [[0, 1, 2, 3]], SIDE).value(pair_shown_unclicked).tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("row", range(3))
def test_each_user_is_counted_alone(row: int) -> None:
    exposures = Exposures(
        requested_at=np.full(3, NOW),
        shown=marks_of([(0, 5), (1, 5)], [], [(0, 5), (0, 6)]),
        clicked=marks_of([(1, 1)], [(0, 1)], []),
    )
    pairs = replace(pairs_of([[], [], []], [[0, 1]] * 3, SIDE), exposures=exposures)
    expected = [[1.0, 0.0], [0.0, 0.0], [2.0, 0.0]]
    assert pairs.value(pair_shown_unclicked).tolist() == expected
    alone = replace(pairs_of([[]], [[0, 1]], SIDE), exposures=exposures.select(np.array([row])))
    assert alone.value(pair_shown_unclicked).tolist() == [expected[row]]


def test_it_agrees_with_a_slow_loop_over_everything(asked_of_people: Asked) -> None:
    """Histories of people, slots and clicks at random."""
    own, histories, found = asked_of_people.exposures, asked_of_people.users, []
    for user, candidates in enumerate(asked_of_people.item_idx):
        slots = list(zip(*own.shown.of(user), strict=True))
        answers = list(zip(*own.clicked.of(user), strict=True))
        rated = slice(histories.offsets[user], histories.offsets[user + 1])
        answers += list(zip(histories.item_idx[rated], histories.timestamps[rated], strict=True))
        found.append(
            [
                sum(
                    shown == item and not any(one == item and at >= shown_at for one, at in answers)
                    for shown, shown_at in slots
                )
                for item in candidates
            ]
        )
    present = asked_of_people.item_idx >= 0
    values = asked_of_people.pairs.value(pair_shown_unclicked)
    assert values[present].tolist() == np.array(found)[present].tolist()
    assert values[present].max() > 3
