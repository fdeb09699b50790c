"""What a log holds is counted by day, and what is wrong with it is told."""

import sqlite3

from recsys_core.feedback.inspection import DAYS_COLUMNS, stats, verify
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.core.feedback.rows import DAY, START, event, impression, request

NEXT = "2017-07-15"


def test_an_empty_log_has_no_days(log: EventLog) -> None:
    found = stats(log)
    assert found.days.schema == DAYS_COLUMNS
    assert found.days.is_empty()
    assert found.n_quarantined == 0
    assert verify(log).damage == []


def test_each_day_counts_what_arrived_and_what_came_again(log: EventLog) -> None:
    log.append(requests=[request()], impressions=[impression(1, 1), impression(1, 2)], events=[event(1), event(2)])
    late = START + 86_400 + 9
    log.append(events=[event(1, received_at=late), event(2, value=1.0, received_at=late), event(3, received_at=late)])
    log.append(impressions=[impression(1, 1, served_at=late * 1_000_000)])
    assert stats(log).days.rows() == [(DAY, 1, 2, 2, 0, 0), (NEXT, 0, 0, 1, 2, 1)]


def test_keys_that_were_used_twice_and_impressions_without_a_request_are_told(log: EventLog) -> None:
    log.append(requests=[request(1)], impressions=[impression(1), impression(2), impression(2, 2)], events=[event(1)])
    log.append(events=[event(1, value=1.0, received_at=START + 86_500)])
    log.append(impressions=[impression(1, score=7.0, served_at=(START + 60) * 1_000_000)])
    found = verify(log)
    assert found.conflicts.rows() == [("events", "e1", NEXT), ("impressions", "r1 1", DAY)]
    assert (found.n_orphans, found.n_days, found.damage) == (2, 2, [])


def test_where_something_is_damaged_nothing_else_is_claimed(sqlite: SqliteLog) -> None:
    sqlite.append(events=[event(1), event(2)])
    sqlite.close()
    with sqlite3.connect(sqlite.folder / "writer-000.sqlite") as connection:
        connection.execute("UPDATE events SET item_id = 0 WHERE event_id = 'e2'")
    connection.close()
    found = verify(sqlite)
    assert len(found.damage) == 1
    assert "the row e2 of events is not as it was written" in found.damage[0]
    assert found.n_days == 0
