"""A request that was set aside counts no more, its rows stay, and it can be taken back."""

import pytest

from recsys_core.errors import LogError
from recsys_core.feedback.deduplication import rows_until, served_version, shown_version
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import IMPRESSIONS_TABLE
from recsys_core.feedback.set_aside import requests_set_aside, set_aside, without
from tests.core.feedback.rows import DAY, impression, request


def test_a_request_set_aside_is_told_stays_in_the_log_and_comes_back(log: EventLog) -> None:
    log.append(requests=[request(1), request(2)], impressions=[impression(1), impression(2)])
    versions = served_version(log, DAY), shown_version(log, DAY)
    whole = rows_until(log, IMPRESSIONS_TABLE, DAY)
    set_aside(log, "r1", 1)
    assert requests_set_aside(log) == {"r1"}
    assert rows_until(log, IMPRESSIONS_TABLE, DAY).equals(whole)
    assert without(whole, requests_set_aside(log))["request_id"].to_list() == ["r2"]
    assert not {served_version(log, DAY), shown_version(log, DAY)} & set(versions), "what reads the log is made anew"
    set_aside(log, "r1", 2, take_back=True)
    assert requests_set_aside(log) == set()
    assert without(whole, requests_set_aside(log)).equals(whole)
    assert (served_version(log, DAY), shown_version(log, DAY)) == versions
    set_aside(log, "r1", 3)
    assert requests_set_aside(log) == {"r1"}


def test_slots_without_their_request_can_be_set_aside(log: EventLog) -> None:
    log.append(impressions=[impression(1)])
    set_aside(log, "r1", 1)
    assert requests_set_aside(log) == {"r1"}


def test_a_request_that_is_not_there_is_refused(log: EventLog) -> None:
    with pytest.raises(LogError, match="holds no request 'r1'"):
        set_aside(log, "r1", 1)
