"""Of every key the first arrival counts, whatever the order in which rows are met."""

import random
from pathlib import Path

import polars as pl
import pytest

from recsys_core.days import DAY_S
from recsys_core.feedback.deduplication import (
    NO_VERSION,
    by_day,
    day_versions,
    last_closed_day,
    rows_until,
    served_version,
    version_of,
    version_until,
    with_delivery_status,
)
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, REQUESTS_TABLE, deliveries_schema
from recsys_core.feedback.schemas import IMPRESSIONS, REQUESTS
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.core.feedback.rows import DAY, START, impression, request


def deliveries(*rows: tuple[str, int, bytes]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=deliveries_schema(EVENTS_TABLE), orient="row")


ROWS = [
    ("a", 10, b"x", "first"),
    ("a", 12, b"x", "repeat"),
    ("a", 13, b"y", "conflict"),
    ("a", 14, b"y", "repeat"),
    ("a", 15, b"x", "repeat"),
    ("b", 11, b"p", "first"),
    ("b", 11, b"q", "conflict"),
    ("c", 99, b"x", "first"),
]


def test_the_first_counts_its_likes_repeat_it_and_others_contradict_it() -> None:
    for seed in range(5):
        rows = [row[:3] for row in ROWS * 2]
        random.Random(seed).shuffle(rows)
        assert with_delivery_status(deliveries(*rows), EVENTS_TABLE).rows() == ROWS


def test_a_key_of_two_columns_is_one_key() -> None:
    rows = [("r", 1, 10, b"x"), ("r", 2, 11, b"y"), ("s", 1, 12, b"z"), ("r", 1, 13, b"w")]
    table = pl.DataFrame(rows, schema=deliveries_schema(IMPRESSIONS_TABLE), orient="row")
    found = with_delivery_status(table, IMPRESSIONS_TABLE)
    assert found["delivery_status"].to_list() == ["first", "conflict", "first", "first"]


def test_a_day_begins_with_its_first_second_and_tick() -> None:
    seconds = deliveries(("a", START - 1, b"1"), ("b", START, b"2"), ("c", START + 86_399, b"3"))
    assert by_day(seconds, EVENTS_TABLE)["day"].to_list() == ["2017-07-13", "2017-07-14", "2017-07-14"]
    ticks = [("a", 1, START * 10**6 - 1, b"1"), ("b", 1, START * 10**6, b"2")]
    table = pl.DataFrame(ticks, schema=deliveries_schema(IMPRESSIONS_TABLE), orient="row")
    assert by_day(table, IMPRESSIONS_TABLE)["day"].to_list() == ["2017-07-13", "2017-07-14"]


def test_the_version_tells_digests_arrivals_and_standings_apart() -> None:
    def version(*rows: tuple[int, bytes, str]) -> str:
        schema = {"received_at": pl.Int64, "digest": pl.Binary, "delivery_status": pl.String}
        return version_of(pl.DataFrame(list(rows), schema=schema, orient="row"), EVENTS_TABLE)

    one = (10, b"x" * 16, "first")
    assert version(one) == version(one, (11, b"x" * 16, "repeat"))
    assert version(one, (11, b"y" * 16, "first")) == version((11, b"y" * 16, "first"), one)
    others = [
        version((11, b"x" * 16, "first")),
        version((10, b"y" * 16, "first")),
        version((10, b"x" * 16, "conflict")),
    ]
    assert len({version(one), version(), *others}) == 5


@pytest.mark.parametrize(
    ("now", "grace_s", "day"),
    [
        (START, 0, "2017-07-13"),
        (START - 1, 0, "2017-07-12"),
        (START + 3_599, 3_600, "2017-07-12"),
        (START + 3_600, 3_600, "2017-07-13"),
        (START + 604_800, 604_800, "2017-07-13"),
    ],
)
def test_a_day_is_closed_when_it_is_over_and_has_had_its_grace(now: int, grace_s: int, day: str) -> None:
    assert last_closed_day(now, grace_s) == day


def test_the_version_of_all_days_is_of_those_up_to_the_last_closed_one(log: EventLog) -> None:
    assert version_until(DAY, day_versions(log, REQUESTS_TABLE)) == NO_VERSION
    log.append(requests=[request(1)])
    first = version_until(DAY, day_versions(log, REQUESTS_TABLE))
    assert first != NO_VERSION
    assert version_until("2017-07-13", day_versions(log, REQUESTS_TABLE)) == NO_VERSION
    assert version_until(DAY, day_versions(log, EVENTS_TABLE)) == NO_VERSION
    log.append(requests=[request(2, served_at=(START + 86_400) * 1_000_000)])
    assert version_until(DAY, day_versions(log, REQUESTS_TABLE)) == first, (
        "what arrives on an open day makes nothing stale"
    )
    both = version_until("2017-07-15", day_versions(log, REQUESTS_TABLE))
    assert len({first, both, NO_VERSION}) == 3
    assert version_until("2999-01-01", day_versions(log, REQUESTS_TABLE)) == both


def test_the_version_of_all_days_changes_with_what_counts_and_with_nothing_else(log: EventLog) -> None:
    versions = []
    for rows in ([request(1), request(2)], [request(3)], [request(1, k=9)]):
        log.append(requests=rows)
        versions.append(version_until(DAY, day_versions(log, REQUESTS_TABLE)))
    assert len(set(versions)) == 3, "a new row, and one that contradicts another"
    log.append(requests=[request(1), request(2), request(3), request(1, k=9)])
    later = request(2).served_at + 5
    log.append(requests=[request(2, served_at=later)])
    assert version_until(DAY, day_versions(log, REQUESTS_TABLE)) == versions[-1], "repeats"


def test_the_version_of_all_days_tells_one_day_from_another(log: EventLog, tmp_path: Path) -> None:
    """The same requests, a day apart."""
    log.append(requests=[request(1)])
    with SqliteLog(tmp_path / "other") as other:
        other.append(requests=[request(1, served_at=request(1).served_at + 86_400 * 1_000_000)])
        assert version_until("2999-01-01", day_versions(other, REQUESTS_TABLE)) != version_until(
            "2999-01-01", day_versions(log, REQUESTS_TABLE)
        )


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
