"""What had been shown and clicked by any moment."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.histories import Catalogue
from recsys_core.features.exposures import FATIGUE_S, Exposures, TimedItems, exposure_log
from recsys_core.feedback.exposures import SHOWN_COLUMNS
from recsys_core.feedback.schemas import CLICKS_COLUMNS

T0 = 1_500_000_000
CATALOGUE = Catalogue(item_ids=np.array([10, 20, 30]))

Slot = tuple[str, int | None, int, int]
Click = tuple[int, int, int, int]


def shown_of(*slots: Slot) -> pl.DataFrame:
    """request_id, user_id, item_id, seconds after T0."""
    rows = [(*slot[:3], T0 + slot[3]) for slot in slots]
    return pl.DataFrame(rows, schema=SHOWN_COLUMNS, orient="row")


def clicks_of(*clicks: Click) -> pl.DataFrame:
    """user_id, item_id, seconds after T0 of the click and of its arrival."""
    rows = [(user, item, T0 + at, None, f"e{n}", T0 + came) for n, (user, item, at, came) in enumerate(clicks)]
    return pl.DataFrame(rows, schema=CLICKS_COLUMNS, orient="row")


def told(marks: TimedItems) -> list[list[tuple[int, int]]]:
    """Of each user: item_id, seconds after T0."""
    return [
        [(int(CATALOGUE.item_ids[item]), int(at) - T0) for item, at in zip(*marks.of(user), strict=True)]
        for user in range(len(marks.offsets) - 1)
    ]


def asked(slots: Sequence[Slot], clicks: Sequence[Click], *whom: tuple[int, int], arrived: bool = False) -> Exposures:
    """Users at seconds after T0, who know what had arrived by then."""
    log = exposure_log(shown_of(*slots), clicks_of(*clicks), CATALOGUE)
    users, times = (np.array(column, dtype=np.int64) for column in zip(*whom, strict=True))
    return log.before(users, T0 + times, T0 + times if arrived else None)


def test_what_was_shown_in_the_second_of_the_request_or_later_is_not_known_yet() -> None:
    slots = [("a", 1, 10, 5), ("a", 1, 20, 5), ("b", 1, 10, 9), ("c", 2, 30, 7)]
    clicks = [(1, 10, 6, 6), (2, 30, 8, 8)]
    found = asked(slots, clicks, (1, 5), (1, 6), (1, 9), (1, 10), (2, 8), (2, 9), (3, 100))
    assert told(found.shown) == [
        [], [(10, 5), (20, 5)], [(10, 5), (20, 5)], [(10, 5), (20, 5), (10, 9)], [(30, 7)], [(30, 7)], []
    ]  # fmt: skip
    assert told(found.clicked) == [[], [], [(10, 6)], [(10, 6)], [], [(30, 8)], []]
    assert found.requested_at.tolist() == [T0 + at for at in (5, 6, 9, 10, 8, 9, 100)]


def test_an_item_that_a_request_showed_twice_counts_once_from_when_it_was_first_seen() -> None:
    found = asked([("a", 1, 10, 7), ("a", 1, 10, 5), ("b", 1, 10, 6), ("a", 2, 10, 5)], [], (1, 9), (2, 9))
    assert told(found.shown) == [[(10, 5), (10, 6)], [(10, 5)]]


def test_unknown_users_and_items_count_for_nobody() -> None:
    found = asked([("a", None, 10, 5), ("b", 1, 99, 5)], [(1, 99, 5, 5)], (1, 9), (-1, 9))
    assert told(found.shown) == told(found.clicked) == [[], []]
    nothing = asked([], [], (1, 9))
    assert told(nothing.shown) == told(nothing.clicked) == [[]]


def test_what_had_not_arrived_is_left_out_where_that_is_asked_for() -> None:
    slots, clicks = [("a", 1, 10, 5)], [(1, 10, 6, 20), (1, 20, 7, 7)]
    assert told(asked(slots, clicks, (1, 20)).clicked) == [[(10, 6), (20, 7)]]
    assert told(asked(slots, clicks, (1, 20), (1, 21), arrived=True).clicked) == [[(20, 7)], [(10, 6), (20, 7)]]


def test_clicks_without_their_arrival_are_known_at_once() -> None:
    clicks = clicks_of((1, 10, 6, 20)).drop("received_at")
    log = exposure_log(shown_of(("a", 1, 10, 5)), clicks, CATALOGUE)
    moment = np.array([T0 + 7])
    assert told(log.before(np.array([1]), moment, moment).clicked) == [[(10, 6)]]


def test_nothing_is_kept_that_is_too_old_to_count() -> None:
    found = asked([("a", 1, 10, 0), ("b", 1, 20, 1)], [], (1, FATIGUE_S), (1, FATIGUE_S + 1), (1, FATIGUE_S + 2))
    assert told(found.shown) == [[(10, 0), (20, 1)], [(20, 1)], []]


SECONDS = st.integers(0, 12)
SLOTS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from([None, 1, 2, 2**62]), st.sampled_from([10, 20, 30]), SECONDS)
)
MOMENTS = st.lists(st.tuples(st.sampled_from([1, 2, 3, 2**62]), SECONDS), min_size=1)


@given(SLOTS, MOMENTS, st.randoms(use_true_random=False))
def test_it_agrees_with_a_slow_loop_whatever_the_order_and_whoever_asks_beside(slots, whom, chance) -> None:  # type: ignore[no-untyped-def]
    found = asked(chance.sample(slots, len(slots)), [], *whom)
    for user, (user_id, at) in enumerate(whom):
        first: dict[tuple[str, int], int] = {}
        for request_id, whose, item, second in sorted(slots, key=lambda slot: slot[3]):
            if whose == user_id:
                first.setdefault((request_id, item), second)
        expected = sorted((second, item) for (_, item), second in first.items() if second < at)
        assert [(second, item) for item, second in told(found.shown)[user]] == expected
        assert told(found.select(np.array([user])).shown) == [told(found.shown)[user]]
