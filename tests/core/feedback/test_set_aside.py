"""A request that was set aside counts no more, its rows stay, and it can be taken back."""

import pytest

from recsys_core.errors import LogError
from recsys_core.feedback.closed import rows_until, served_version, shown_version
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, REQUESTS_TABLE
from recsys_core.feedback.set_aside import requests_set_aside, set_aside
from tests.core.feedback.rows import DAY, event, impression, request


def test_a_request_set_aside_leaves_no_row_and_comes_back_whole(log: EventLog) -> None:
    log.append(requests=[request(1), request(2)], impressions=[impression(1), impression(2)])
    log.append(events=[event(1, kind="click", value=None, request_id="r1")])
    tables = (REQUESTS_TABLE, IMPRESSIONS_TABLE, EVENTS_TABLE)
    whole = [rows_until(log, table, DAY) for table in tables]
    versions = served_version(log, DAY), shown_version(log, DAY)
    set_aside(log, "r1", 1)
    assert requests_set_aside(log) == {"r1"}
    for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE):
        assert rows_until(log, table, DAY)["request_id"].to_list() == ["r2"]
    assert rows_until(log, EVENTS_TABLE, DAY).height == 1, "what a user did stays true"
    assert not {served_version(log, DAY), shown_version(log, DAY)} & set(versions)
    set_aside(log, "r1", 2, take_back=True)
    assert all(rows_until(log, table, DAY).equals(rows) for table, rows in zip(tables, whole, strict=True))
    assert (served_version(log, DAY), shown_version(log, DAY)) == versions
    set_aside(log, "r1", 3)
    assert requests_set_aside(log) == {"r1"}


def test_slots_without_their_request_can_be_set_aside(log: EventLog) -> None:
    log.append(impressions=[impression(1)])
    set_aside(log, "r1", 1)
    assert rows_until(log, IMPRESSIONS_TABLE, DAY).is_empty()


def test_a_request_that_is_not_there_is_refused(log: EventLog) -> None:
    with pytest.raises(LogError, match="holds no request 'r1'"):
        set_aside(log, "r1", 1)
