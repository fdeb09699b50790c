"""What one user was shown and clicked so far, as the log tells it at any moment."""

from pathlib import Path

import pytest

from recsys_core.feedback.exposures import SHOWN_COLUMNS, Exposed, exposed_so_far, shown_slots
from recsys_core.feedback.records import IMPRESSIONS_TABLE
from recsys_core.feedback.schemas import CLICKS_COLUMNS
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.core.feedback.rows import START, event, impression, request

TOLERANCE_S = 300


def so_far(log: SqliteLog, user_id: int = 7, since: int = START) -> Exposed:
    return exposed_so_far(log, user_id, since, TOLERANCE_S)


def clicked(number: int, **changes: object) -> object:
    return event(number, kind="click", value=None, user_id=7, **changes)


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    return SqliteLog(tmp_path / "log")


def test_slots_of_the_user_are_told_with_the_second_in_which_they_were_shown(log: SqliteLog) -> None:
    log.append(requests=[request(1), request(2)], impressions=[impression(1, 1), impression(1, 2), impression(2, 1)])
    log.append(requests=[request(3, user_id=8)], impressions=[impression(3, 1, user_id=8)])
    log.append(requests=[request(4, user_id=None)], impressions=[impression(4, 1, user_id=None)])
    found = so_far(log)
    assert found.shown.columns == list(SHOWN_COLUMNS)
    assert sorted(found.shown.rows()) == [
        ("r1", 7, 101, START + 1), ("r1", 7, 102, START + 1), ("r2", 7, 101, START + 2)
    ]  # fmt: skip
    assert found.clicks.is_empty()
    assert so_far(log, 8).shown.rows() == [("r3", 8, 101, START + 3)]
    assert so_far(log, 9).shown.is_empty()


def test_rows_of_a_moment_ago_count_and_those_from_before_do_not(log: SqliteLog) -> None:
    """No day needs to be closed, and nothing be ingested."""
    log.append(requests=[request(1), request(2)], impressions=[impression(1, 1), impression(2, 1)])
    assert so_far(log, since=START + 2).shown["request_id"].to_list() == ["r2"]
    log.append(requests=[request(3)], impressions=[impression(3, 1)], events=[clicked(1, timestamp=START + 3)])
    assert so_far(log, since=START + 2).shown["request_id"].to_list() == ["r2", "r3"]
    assert so_far(log, since=START + 3).clicks["timestamp"].to_list() == [START + 3]
    assert so_far(log, since=START + 4).clicks.is_empty()


def test_a_slot_counts_as_it_was_delivered_first_and_once(log: SqliteLog) -> None:
    log.append(requests=[request(1)], impressions=[impression(1, 1), impression(1, 1)])
    log.append(impressions=[impression(1, 1, item_id=999, served_at=(START + 50) * 1_000_000)])
    assert so_far(log).shown.rows() == [("r1", 7, 101, START + 1)]


def test_a_slot_whose_key_is_another_users_counts_for_nobody_else(log: SqliteLog) -> None:
    """The first row of a key counts, whoever it is of."""
    log.append(requests=[request(1)], impressions=[impression(1, 1, user_id=8)])
    log.append(impressions=[impression(1, 1, served_at=(START + 50) * 1_000_000)])
    assert so_far(log).shown.is_empty()


def test_a_slot_without_a_logged_request_counts_for_nothing(log: SqliteLog) -> None:
    """As in what is replayed: nobody knows whether it was ever served."""
    log.append(requests=[request(1)], impressions=[impression(1, 1), impression(2, 1)])
    assert so_far(log).shown["request_id"].to_list() == ["r1"]


def test_clicks_alone_are_clicks_and_one_from_the_future_is_none(log: SqliteLog) -> None:
    at = START + 100
    log.append(
        events=[
            clicked(1, timestamp=at, received_at=at - TOLERANCE_S),
            clicked(2, timestamp=at, received_at=at - TOLERANCE_S - 1),
            event(3, kind="skip", value=None, user_id=7, timestamp=at),
            event(4, user_id=7, timestamp=at),
            event(5, kind="click", value=None, user_id=8, timestamp=at),
        ]
    )
    found = so_far(log).clicks
    assert found.columns == list(CLICKS_COLUMNS)
    assert found["event_id"].to_list() == ["e1"]
    early = so_far(log, since=at)
    assert early.clicks["event_id"].to_list() == ["e1"], "it arrived before the second in which it happened"


def test_slots_of_a_table_keep_their_order_and_lose_unknown_users() -> None:
    table = IMPRESSIONS_TABLE.frame([impression(2, 1), impression(1, 1, user_id=None), impression(1, 2)])
    assert shown_slots(table).rows() == [("r2", 7, 101, START + 2), ("r1", 7, 102, START + 1)]
    nothing = Exposed.nothing()
    assert shown_slots(table.clear()).schema == nothing.shown.schema
