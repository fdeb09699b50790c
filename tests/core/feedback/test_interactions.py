"""A day of the log becomes a table that depends on nothing but what is stored, and every delivery is accounted for."""

import random
import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.errors import DataError
from recsys_core.feedback.config import InteractionsConfig
from recsys_core.feedback.deduplication import NO_VERSION
from recsys_core.feedback.interactions import (
    N_HOURS,
    DayRead,
    arrivals_by_day,
    arrivals_by_hour,
    read_day,
    versions_of_days,
)
from recsys_core.feedback.records import EVENTS_TABLE, Event, digest_of, row_of
from recsys_core.feedback.schemas import INTERACTIONS, INTERACTIONS_COLUMNS, REJECTED_EVENTS
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.feedback.values import KINDS
from tests.core.feedback.rows import DAY, START, event


def test_a_day_without_a_log_is_an_empty_table(sqlite: SqliteLog) -> None:
    read = read_day(sqlite, DAY)
    INTERACTIONS.validate(read.interactions)
    REJECTED_EVENTS.validate(read.rejected)
    assert read.interactions.height == read.rejected.height == 0
    assert read.counts == {"deliveries": 0, "accepted": 0, "rejected": 0, "repeats": 0, "late": 0}
    assert read.version == NO_VERSION
    assert not sqlite.folder.exists(), "who only reads makes no files"


def test_events_are_sorted_by_their_own_time_and_do_not_depend_on_the_order_of_rows(sqlite: SqliteLog) -> None:
    events = [event(number, timestamp=START + number // 4) for number in range(40)]
    sqlite.append(events=events)
    first = read_day(sqlite, DAY)
    random.Random(3).shuffle(events)
    with SqliteLog(sqlite.folder / "other") as other:
        for one in events:
            other.append(events=[one])
        second = read_day(other, DAY)
    assert first.interactions.equals(second.interactions)
    assert first.version == second.version
    assert first.interactions.equals(first.interactions.sort("timestamp", "user_id", "item_id", "event_id"))


def test_late_and_out_of_order_events_keep_their_own_time_and_are_counted(sqlite: SqliteLog) -> None:
    sqlite.append(events=[event(9), event(2, timestamp=1_000_000_000), event(5)])
    read = read_day(sqlite, DAY)
    assert read.interactions["timestamp"].to_list() == [1_000_000_000, START + 5, START + 9]
    assert read.counts["late"] == 1


def test_an_id_beyond_what_is_taken_today_is_rejected_where_an_older_log_holds_it(sqlite: SqliteLog) -> None:
    sqlite.append(events=[event(1), event(2)])
    sqlite.close()
    row = (*row_of(EVENTS_TABLE, event(3))[:3], 2**62 - 2, *row_of(EVENTS_TABLE, event(3))[4:])
    with closing(sqlite3.connect(sqlite.folder / "writer-000.sqlite")) as file, file:
        file.execute(f"INSERT INTO events VALUES ({', '.join('?' * 9)})", (*row, digest_of(EVENTS_TABLE, row)))
    read = read_day(sqlite, DAY)
    assert read.interactions["event_id"].to_list() == ["e1", "e2"]
    assert read.rejected.select("item_id", "reason").rows() == [(2**62 - 2, "id beyond 2**53 - 1")]
    assert read.counts == {"deliveries": 3, "accepted": 2, "rejected": 1, "repeats": 0, "late": 0}


def test_an_event_delivered_twice_counts_once_with_its_first_arrival(sqlite: SqliteLog) -> None:
    sqlite.append(events=[event(1, received_at=START + 99), event(1), event(2)])
    sqlite.append(events=[event(2, received_at=START + 99)])
    read = read_day(sqlite, DAY)
    assert read.interactions["received_at"].to_list() == [START + 6, START + 7]
    assert read.counts == {"deliveries": 4, "accepted": 2, "rejected": 0, "repeats": 2, "late": 0}


def test_an_event_delivered_on_two_days_counts_on_the_first_alone(sqlite: SqliteLog) -> None:
    sqlite.append(events=[event(1, received_at=START + 86_400 + 5), event(2, received_at=START + 86_400 + 6)])
    before = versions_of_days(sqlite)
    with SqliteLog(sqlite.folder) as other:  # in another file, and later on, as a backfill would
        other.append(events=[event(1)])
    assert read_day(sqlite, DAY).interactions["event_id"].to_list() == ["e1"]
    read = read_day(sqlite, "2017-07-15")
    assert read.interactions["event_id"].to_list() == ["e2"]
    assert read.counts["repeats"] == 1
    assert versions_of_days(sqlite).keys() == {DAY, "2017-07-15"}
    assert versions_of_days(sqlite)["2017-07-15"] != before["2017-07-15"]


def test_one_event_id_for_two_events_keeps_the_first_and_tells_of_the_other(sqlite: SqliteLog) -> None:
    other = event(1, value=2.0, received_at=START + 90_000)
    sqlite.append(events=[other, event(1), event(2)])
    read = read_day(sqlite, DAY)
    assert read.interactions["value"].to_list() == [4.0, 4.0]
    assert read.rejected.is_empty()
    later = read_day(sqlite, "2017-07-15")
    assert later.interactions.is_empty()
    assert later.rejected.drop("reason").rows() == [("e1", None, 2, 11, "rating", 2.0, START + 1, START + 90_000)]
    assert later.rejected["reason"].to_list() == ["another event of this id arrived first"]
    assert later.counts == {"deliveries": 1, "accepted": 0, "rejected": 1, "repeats": 0, "late": 0}


def test_by_default_rubbish_does_not_block_a_day_but_a_bound_can_be_set(sqlite: SqliteLog) -> None:
    sqlite.append(events=[event(1, timestamp=START + 6 + 301), event(2)])
    assert read_day(sqlite, DAY).counts["rejected"] == 1
    with pytest.raises(DataError, match=r"1 of 2 events are rejected.*the first is 'e1': from the future"):
        read_day(sqlite, DAY, InteractionsConfig(max_bad_share=0.1))


def test_the_tolerance_is_a_setting(sqlite: SqliteLog) -> None:
    sqlite.append(events=[event(1, timestamp=START + 7)])
    assert read_day(sqlite, DAY).counts["accepted"] == 1
    read = read_day(sqlite, DAY, InteractionsConfig(future_tolerance_s=0))
    assert read.rejected["reason"].to_list() == ["from the future"]


def test_the_version_of_a_day_is_the_same_alone_and_among_all(sqlite: SqliteLog) -> None:
    sqlite.append(events=[event(n, received_at=START + 20_000 * n, timestamp=START) for n in range(20)])
    sqlite.append(events=[event(n, received_at=START + 50_000 * n, timestamp=START) for n in range(1, 9)])
    sqlite.append(events=[event(3, value=1.0, received_at=START + 61_000, timestamp=START)])
    for day, version in versions_of_days(sqlite).items():
        assert read_day(sqlite, day).version == version


@pytest.mark.parametrize("day", ["../2017-07-14", "2017-7-14", "2017-02-30", "", "2017-07-14\n", "\u0662017-07-14"])
def test_what_is_no_day_is_refused(sqlite: SqliteLog, day: str) -> None:
    with pytest.raises(DataError, match="is not a day: write it as YYYY-MM-DD"):
        read_day(sqlite, day)


def test_every_setting_gives_the_reason_for_its_default() -> None:
    assert all(len(field.description or "") > 40 for field in InteractionsConfig.model_fields.values())


DELIVERIES = st.lists(
    st.builds(
        lambda number, delay, stars: event(number, value=stars, received_at=START + 10 + delay, timestamp=START),
        st.integers(0, 4),
        st.integers(0, 200_000),
        st.sampled_from([1.0, 4.0]),
    ),
    max_size=12,
)


class Listed:
    """A log in a list: the rule written down a second time, slowly, without files and frames."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events

    def first(self) -> dict[str, Event]:
        """Of every id the first arrival; none where two arrived in the same second with different values."""
        found: dict[str, Event] = {}
        for one in self.events:
            known = found.get(one.event_id)
            if known is None or one.received_at < known.received_at:
                found[one.event_id] = one
        return found

    def is_tied(self) -> bool:
        """Whether two different events of an id arrived in the same second."""
        return len({(one.event_id, one.received_at) for one in self.events}) < len(set(self.events))


@pytest.mark.slow
@settings(max_examples=25)  # each makes files, and waits for the disk as every append does
@given(DELIVERIES, st.randoms(use_true_random=False), st.integers(1, 3))
def test_every_delivery_is_accounted_for_and_order_and_files_do_not_matter(
    events: list[Event], chance: random.Random, n_files: int
) -> None:
    days = {DAY: START, "2017-07-15": START + 86_400, "2017-07-16": START + 172_800}
    one, other = read_all(events, 1, days), read_all(chance.sample(events, len(events)), n_files, days)
    for day, start in days.items():
        read, again = one[day], other[day]
        assert read.interactions.equals(again.interactions)
        assert read.rejected.equals(again.rejected)
        assert (read.version, read.counts) == (again.version, again.counts)
        counts = read.counts
        assert counts["accepted"] + counts["rejected"] + counts["repeats"] == counts["deliveries"]
        if not Listed(events).is_tied():
            expected = {name for name, e in Listed(events).first().items() if start <= e.received_at < start + 86_400}
            assert set(read.interactions["event_id"]) == expected


def read_all(events: list[Event], n_files: int, days: Iterable[str]) -> dict[str, DayRead]:
    """The days of a log whose events were dealt to several writers at once."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        writers = [stack.enter_context(SqliteLog(Path(folder))) for _ in range(n_files)]
        for first, writer in enumerate(writers):
            writer.append(events=events[first::n_files])
        return {day: read_day(writers[0], day) for day in days}


def test_the_list_of_the_second_opinion_prefers_the_earlier() -> None:
    late = replace(event(1), received_at=START + 50)
    assert Listed([late, event(1)]).first() == {"e1": event(1)}


def day(*events: tuple[str, int]) -> pl.DataFrame:
    """Events of (kind, second of arrival within the day)."""
    rows = [
        (f"e{at}", None, 1, 10, kind, None, START - 90_000, START + second) for at, (kind, second) in enumerate(events)
    ]
    return pl.DataFrame(rows, schema=INTERACTIONS_COLUMNS, orient="row")


def test_the_hour_is_that_of_arrival_not_of_the_event() -> None:
    table = arrivals_by_hour(day(("click", 0), ("click", 3_599), ("rating", 3_600), ("skip", 86_399)))
    found = [row for row in table.rows() if row[2]]
    assert found == [(0, "click", 2), (1, "rating", 1), (23, "skip", 1)]


def test_every_hour_and_kind_is_there_in_order() -> None:
    table = arrivals_by_hour(day())
    assert table.select("hour", "kind").rows() == [(hour, kind) for hour in range(N_HOURS) for kind in KINDS]
    assert table["n"].sum() == 0


def test_days_are_ascending_and_quiet_ones_are_zeros() -> None:
    days = {"2017-07-15": day(), "2017-07-14": day(("rating", 5), ("rating", 6), ("skip", 7))}
    assert arrivals_by_day(days).rows() == [
        ("2017-07-14", "rating", 2),
        ("2017-07-14", "click", 0),
        ("2017-07-14", "skip", 1),
        *(("2017-07-15", kind, 0) for kind in KINDS),
    ]


def test_no_days_are_no_rows() -> None:
    assert arrivals_by_day({}).is_empty()
