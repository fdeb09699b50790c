"""Closed days are read whole, each key as it first arrived."""

import polars as pl

from recsys_core.days import DAY_S
from recsys_core.feedback.arrivals import NO_VERSION
from recsys_core.feedback.closed import rows_until, served_version
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE
from recsys_core.feedback.schemas import IMPRESSIONS, REQUESTS
from tests.core.feedback.rows import DAY, START, impression, request


def test_an_empty_log_gives_an_empty_table(log: EventLog) -> None:
    assert REQUESTS.validate(rows_until(log, REQUESTS_TABLE, DAY)).is_empty()
    assert IMPRESSIONS.validate(rows_until(log, IMPRESSIONS_TABLE, DAY)).is_empty()


def test_rows_up_to_a_day_are_sorted_by_key_and_counted_once(log: EventLog) -> None:
    log.append(impressions=[impression(2, 2), impression(2, 1), impression(1, 1)])
    again = (START + DAY_S) * 1_000_000
    log.append(impressions=[impression(1, 1, served_at=again), impression(3, 1, served_at=again)])
    found = rows_until(log, IMPRESSIONS_TABLE, DAY)
    assert found.select("request_id", "position").rows() == [("r1", 1), ("r2", 1), ("r2", 2)]
    assert (found["served_at"] < again).all()
    both = rows_until(log, IMPRESSIONS_TABLE, "2017-07-15")
    assert both["request_id"].to_list() == ["r1", "r2", "r2", "r3"]
    assert both.filter(pl.col("request_id") != "r3").equals(found)


def test_days_before_the_first_row_hold_nothing(log: EventLog) -> None:
    log.append(requests=[request(1)])
    assert rows_until(log, REQUESTS_TABLE, "2017-07-13").is_empty()


def test_what_was_served_is_of_another_version_when_its_slots_come_late(log: EventLog) -> None:
    assert served_version(log, DAY) == NO_VERSION
    log.append(requests=[request(1)])
    versions = [served_version(log, DAY)]
    log.append(impressions=[impression(1, 1)])
    versions.append(served_version(log, DAY))
    log.append(impressions=[impression(1, 2, served_at=(START + DAY_S) * 1_000_000)])
    assert served_version(log, DAY) == versions[-1], "what arrives on an open day makes nothing stale"
    versions.append(served_version(log, "2017-07-15"))
    assert len({NO_VERSION, *versions}) == 4
    log.append(requests=[request(1)], impressions=[impression(1, 1)])
    assert served_version(log, "2017-07-15") == versions[-1], "repeats"


def test_slots_without_their_request_are_of_a_version_too(log: EventLog) -> None:
    log.append(impressions=[impression(1, 1)])
    assert served_version(log, DAY) != NO_VERSION
