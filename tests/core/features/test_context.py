"""When a request comes."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.features.context import context_days_since_last, context_hour
from recsys_core.features.state import RequestBatch, user_states
from tests.core.features.asked import side_of
from tests.core.worlds import Rating, histories_from

DAY = 86_400
SIDE = side_of([[1.0]] * 3)


def requests(*users: tuple[list[Rating], int]) -> RequestBatch:
    """Histories and times of asking."""
    histories = histories_from([history for history, _ in users], 3)
    return RequestBatch(
        users=user_states(histories, SIDE), requested_at=np.array([at for _, at in users], dtype=np.int64)
    )


@given(st.integers(800_000_000, 4_000_000_000))
def test_the_hour_is_that_of_the_clock_in_utc(second: int) -> None:
    found = context_hour(requests(([], second)))
    assert found.dtype == np.float32
    assert found.tolist() == [datetime.fromtimestamp(second, UTC).hour]


def test_the_time_zone_of_the_machine_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    asked = requests(([], 1_000_000_000))
    expected = context_hour(asked).tolist()
    try:
        for zone in ("Asia/Tokyo", "America/Los_Angeles"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert context_hour(asked).tolist() == expected == [1.0]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_days_count_from_the_latest_rating_of_each_user() -> None:
    asked = requests(
        ([(0, 5.0, 0), (1, 1.0, 3 * DAY)], 5 * DAY), ([], 5 * DAY), ([(2, 3.0, 4 * DAY)], 4 * DAY + DAY // 2)
    )
    found = context_days_since_last(asked)
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx([2, np.nan, 0.5], nan_ok=True)


def test_without_any_rating_nobody_was_ever_here() -> None:
    """Missing is not zero: zero days would mean in the middle of a session."""
    assert np.isnan(context_days_since_last(requests(([], 5 * DAY), ([], 6 * DAY)))).all()
    assert context_days_since_last(requests()).shape == (0,)


@pytest.mark.parametrize("row", range(3))
def test_who_asks_beside_one_changes_nothing(row: int) -> None:
    users = [([(0, 5.0, 7)], 9), ([], 10 * DAY), ([(1, 2.0, 3), (2, 2.0, 4)], 5 * DAY + 7_205)]
    for one in (context_hour, context_days_since_last):
        together, alone = one(requests(*users)), one(requests(users[row]))
        assert np.array_equal(alone, together[[row]], equal_nan=True)


def test_only_the_moment_and_the_history_are_read() -> None:
    asked = requests(([(0, 5.0, 0)], 5 * DAY + 3_600))
    later = replace(asked, requested_at=asked.requested_at + DAY)
    assert context_hour(later).tolist() == context_hour(asked).tolist() == [1.0]
    assert (context_days_since_last(later) - context_days_since_last(asked)).tolist() == [1.0]
