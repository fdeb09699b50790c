"""What a log holds is counted by day, and what is wrong with it is told."""

import sqlite3
from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recsys_core.feedback.deduplication import NO_VERSION
from recsys_core.feedback.inspection import (
    CHANGED,
    DAYS_COLUMNS,
    SILENT,
    WAITING,
    Loss,
    deliveries_by_day,
    gaps,
    is_accepted,
    stats,
    verify,
)
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


FAR = "2999-01-01"
FIRST = date(2017, 2, 26)
VERSIONS = st.dictionaries(
    st.integers(0, 12).map(lambda n: (FIRST + timedelta(days=n)).isoformat()), st.sampled_from(["a", "b", NO_VERSION])
)


def test_without_a_log_nothing_is_missing() -> None:
    assert gaps({}, {}, FAR).is_empty()


def test_a_loss_is_accepted_as_it_is_and_a_further_one_is_not(log: EventLog) -> None:
    log.append(events=[event(1), event(2), event(2, received_at=START + 99)])
    assert deliveries_by_day(log) == {DAY: 3}
    loss = Loss(day=DAY, version="v", n_ingested=5, n_held=3)
    assert not is_accepted(log, loss)
    log.note([loss.accepted(7)])
    assert is_accepted(log, loss)
    assert not is_accepted(log, replace(loss, n_held=2))
    assert not is_accepted(log, replace(loss, version="w"))
    assert "5 deliveries of events were ingested, and the log holds 3 now" in str(loss)


def test_days_in_a_row_are_one_stretch_across_the_end_of_a_month() -> None:
    logged = {"2017-02-27": "a", "2017-02-28": "b", "2017-03-01": "c", "2017-03-04": "d", "2017-03-05": "e"}
    found = gaps(logged, {"2017-03-04": "d", "2017-03-05": "old"}, FAR)
    assert found.rows() == [
        ("2017-02-27", "2017-03-01", 3, WAITING),
        ("2017-03-02", "2017-03-03", 2, SILENT),
        ("2017-03-05", "2017-03-05", 1, CHANGED),
    ]


def test_a_day_that_is_not_closed_is_left_out() -> None:
    assert gaps({"2017-02-27": "a", "2017-02-28": "b"}, {"2017-02-27": "a"}, "2017-02-27").is_empty()


def test_a_day_whose_log_is_gone_has_changed() -> None:
    assert gaps({}, {"2017-02-27": "a"}, FAR).rows() == [("2017-02-27", "2017-02-27", 1, CHANGED)]


def test_an_empty_day_that_was_ingested_is_silent_and_not_waiting() -> None:
    logged, ingested = {"2017-02-27": "a", "2017-03-01": "b"}, dict.fromkeys(("2017-02-28",), NO_VERSION)
    assert gaps(logged, ingested | logged, FAR).rows() == [("2017-02-28", "2017-02-28", 1, SILENT)]


@given(logged=VERSIONS, ingested=VERSIONS)
def test_stretches_and_days_in_order_make_up_the_whole_span(logged: dict[str, str], ingested: dict[str, str]) -> None:
    found = gaps(logged, ingested, FAR)
    told: dict[str, str] = {}
    for first, last, n_days, what in found.iter_rows():
        days = [(date.fromisoformat(first) + timedelta(days=n)).isoformat() for n in range(n_days)]
        assert days[-1] == last
        assert not told.keys() & set(days)
        told |= dict.fromkeys(days, what)
    known = {*logged, *ingested}
    for n in range(13):
        day = (FIRST + timedelta(days=n)).isoformat()
        if not known or not min(known) <= day <= max(known):
            assert day not in told
        else:
            as_ingested = ingested.get(day, NO_VERSION) == logged.get(day, NO_VERSION) != NO_VERSION
            assert (day in told) != as_ingested, day
