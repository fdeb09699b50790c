"""What every event log promises, SQLite and PostgreSQL alike."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from recsys_core.errors import LogError
from recsys_core.feedback.deduplication import day_versions
from recsys_core.feedback.interactions import read_day
from recsys_core.feedback.log import AppendCounts, Appended, BadLine, EventLog, Note, line_id_of
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, REQUESTS_TABLE, TABLES, Event
from tests.core.feedback.conftest import OpenLog
from tests.core.feedback.rows import DAY, START, event, impression, request

Forked = Callable[[Callable[[], object]], int]


def stored(log: EventLog) -> list[str]:
    """The ids of all events, as often as they are stored."""
    return sorted(log.deliveries(EVENTS_TABLE)["event_id"])


def test_what_is_appended_comes_back_value_for_value(log: EventLog) -> None:
    asked = request(history="[[318,4.5,1499990000]]", user_id=None)
    shown = [impression(position=1), impression(position=2, user_id=None, probability=0.25, retrieval_rank=None)]
    done = [event(1), event(2, kind="click", value=None, request_id="r1")]
    appended = log.append(requests=[asked], impressions=shown, events=done)
    assert appended == Appended(
        requests=AppendCounts(new=1), impressions=AppendCounts(new=2), events=AppendCounts(new=2)
    )
    for table, records in ((REQUESTS_TABLE, [asked]), (IMPRESSIONS_TABLE, shown), (EVENTS_TABLE, done)):
        rows = log.read_day(table, START).rows.drop("digest").sort(*table.key)
        assert [table.record(**row) for row in rows.iter_rows(named=True)] == records


def test_an_empty_log_and_an_empty_batch_are_no_fault(log: EventLog) -> None:
    assert log.append() == Appended()
    for table in TABLES.values():
        assert log.read_day(table, START).rows.is_empty()
        assert log.deliveries(table).is_empty()
    assert log.quarantined() == log.damage() == []
    log.quarantine([])
    log.release(set(), 10)
    assert log.quarantined() == []


def test_new_repeated_and_conflicting_rows_are_counted(log: EventLog) -> None:
    assert log.append(events=[event(1), event(2), event(1)]).events == AppendCounts(new=2, repeated=1)
    again = [event(1, received_at=START + 900), event(2, value=1.0), event(3), event(3, value=2.0)]
    assert log.append(events=again).events == AppendCounts(new=1, repeated=1, conflicting=2)
    assert log.append(impressions=[impression(1, 1), impression(1, 2)]).impressions == AppendCounts(new=2)
    assert log.append(impressions=[impression(1, 2, score=0.0)]).impressions == AppendCounts(conflicting=1)


def test_notes_come_back_once_oldest_first_and_by_kind(log: EventLog, open_log: OpenLog) -> None:
    notes = [Note(kind="set aside", key=key, value="yes", noted_at=at) for key, at in (("b", 2), ("a", 1))]
    log.note(notes)
    open_log().note([*notes, Note(kind="loss accepted", key="a", value="v 1", noted_at=3)])
    log.note([])
    assert log.notes("set aside") == notes[::-1]
    assert len(log.notes("loss accepted")) == 1
    assert log.notes("imported") == []


def test_imported_requests_are_told_from_the_services_own(log: EventLog, open_log: OpenLog) -> None:
    log.append(requests=[request(1), request(2)], impressions=[impression(1), impression(2)])
    assert log.imported_requests() == set()
    log.append(requests=[request(3)], impressions=[impression(4)], imported=True)
    log.append(impressions=[impression(2, 2)], events=[event(1, request_id="r1")], imported=True)
    assert open_log().imported_requests() == {"r2", "r3", "r4"}, "one slot from outside suffices, an event does not"


def test_what_the_service_stored_itself_stays_its_own_when_it_is_imported_again(
    log: EventLog, open_log: OpenLog
) -> None:
    rows = {"requests": [request(1)], "impressions": [impression(1)]}
    log.append(**rows)
    open_log().append(**rows, imported=True)
    log.append(**rows, imported=True)
    assert log.imported_requests() == set()
    log.append(requests=[request(1, k=7)], imported=True)
    assert log.imported_requests() == {"r1"}


def test_what_was_stored_is_never_overwritten(log: EventLog) -> None:
    log.append(events=[event(1)])
    log.append(events=[event(1, value=1.0, received_at=START + 50), event(1, received_at=START + 99)])
    read = read_day(log, DAY)
    assert read.interactions["value"].to_list() == [4.0]
    assert read.interactions["received_at"].to_list() == [START + 6]
    assert read.rejected.select("event_id", "value").rows() == [("e1", 1.0)]


def test_the_same_rows_a_second_time_store_nothing(log: EventLog) -> None:
    rows = [event(number) for number in range(10)]
    log.append(events=rows)
    assert log.append(events=rows).events == AppendCounts(repeated=10)
    assert len(stored(log)) == 10


def test_a_batch_with_one_unfit_record_stores_nothing(log: EventLog) -> None:
    for bad in (event(2, kind="like"), event(2, timestamp=START * 1000), event(2, value=3.7), event(2, user_id=-1)):
        with pytest.raises(LogError, match="is not fit to be logged"):
            log.append(requests=[request()], events=[event(1), bad])
    assert stored(log) == []
    assert log.deliveries(REQUESTS_TABLE).is_empty()


def test_a_day_is_cut_to_the_second_and_to_the_microsecond(log: EventLog) -> None:
    before, last = START - 1, START + 86_399
    log.append(events=[event(n, timestamp=at, received_at=at) for n, at in enumerate((before, START, last, last + 1))])
    assert sorted(log.read_day(EVENTS_TABLE, START).rows["event_id"]) == ["e1", "e2"]
    ticks = (START * 1_000_000 - 1, START * 1_000_000, (last + 1) * 1_000_000 - 1, (last + 1) * 1_000_000)
    log.append(requests=[request(n, served_at=at) for n, at in enumerate(ticks)])
    assert sorted(log.read_day(REQUESTS_TABLE, START).rows["request_id"]) == ["r1", "r2"]


def test_a_day_knows_of_its_keys_on_other_days(log: EventLog) -> None:
    log.append(events=[event(1), event(2)])
    log.append(events=[event(1, received_at=START + 90_000)])
    seen = log.read_day(EVENTS_TABLE, START + 86_400)
    assert seen.rows["received_at"].to_list() == [START + 90_000]
    assert sorted(seen.deliveries["received_at"]) == [START + 6, START + 90_000]


def test_writers_see_each_other_and_their_repeats_count_once(open_log: OpenLog) -> None:
    one, other = open_log(), open_log()
    one.append(events=[event(1), event(2)])
    other.append(events=[event(2), event(3), event(2, received_at=START + 50)])
    for log in (one, other, open_log()):
        read = read_day(log, DAY)
        assert read.interactions["event_id"].to_list() == ["e1", "e2", "e3"]
        assert read.counts == {"deliveries": 4, "accepted": 3, "rejected": 0, "repeats": 1, "late": 0}


def bad(raw: bytes, at: int, source: str = "a.jsonl", line: int = 3) -> BadLine:
    given = {"column": "", "reason": "not JSON", "value": "{"}
    return BadLine(line_id=line_id_of(raw), raw=raw, set_aside_at=at, source=source, line=line, **given)


def test_bad_lines_are_kept_whole_once_and_leave_when_they_are_let_go(open_log: OpenLog) -> None:
    one, other = open_log(), open_log()
    one.quarantine([bad(b"{\0\xff", 20), bad(b"[", 10)])
    one.quarantine([bad(b"[", 30)])
    other.quarantine([bad(b"[", 5), bad(b"x", 40)])
    assert [line.raw for line in one.quarantined()] == [b"[", b"{\0\xff", b"x"]
    other.release({line_id_of(b"{\0\xff")}, 50)
    other.release({line_id_of(b"{\0\xff")}, 60)
    assert [line.raw for line in one.quarantined()] == [b"[", b"x"]
    other.release({line_id_of(b"[")}, 5)
    assert [line.raw for line in one.quarantined()] == [b"x"], "within the second in which it was last set aside"


def test_a_line_that_was_let_go_waits_again_when_it_comes_again(open_log: OpenLog) -> None:
    """Also within one second: it was hidden for ever, while every import said that it was set aside."""
    one, other = open_log(), open_log()
    one.quarantine([bad(b"[", 10)])
    for at in (10, 10, 50):
        other.release({line_id_of(b"[")}, at)
        assert one.quarantined() == []
        other.quarantine([bad(b"[", at, source="b.jsonl", line=7)])
        assert [(line.source, line.line) for line in one.quarantined()] == [("b.jsonl", 7)]


def test_a_closed_log_can_be_used_again(log: EventLog) -> None:
    log.append(events=[event(1)])
    log.close()
    log.append(events=[event(2)])
    assert stored(log) == ["e1", "e2"]


def test_several_processes_write_at_once_and_nothing_is_lost_or_doubled(open_log: OpenLog, forked: Forked) -> None:
    """Every event is sent by two of the four writers, in another order by each."""

    def write(writer: int) -> None:
        numbers = [number for number in range(200) if writer in (number % 4, (number + 1) % 4)]
        random.Random(writer).shuffle(numbers)
        log = open_log()
        for first in range(0, len(numbers), 7):
            log.append(events=[event(number) for number in numbers[first : first + 7]])

    children = [forked(lambda writer=writer: write(writer)) for writer in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 4
    log = open_log()
    assert sorted(read_day(log, DAY).interactions["event_id"]) == sorted(f"e{number}" for number in range(200))
    assert log.damage() == []


def test_a_reader_beside_writers_sees_whole_batches_only(open_log: OpenLog, forked: Forked) -> None:
    """Each batch is a request with its five impressions; at no moment may a part of one be seen."""

    def write(writer: int) -> None:
        log = open_log()
        for number in range(writer * 1000, writer * 1000 + 60):
            log.append(requests=[request(number)], impressions=[impression(number, place) for place in range(1, 6)])

    children = [forked(lambda writer=writer: write(writer)) for writer in range(2)]
    log, seen = open_log(), [0]
    while children:
        children = [pid for pid in children if not ended(pid)]
        found = log.deliveries(IMPRESSIONS_TABLE)
        assert set(found.group_by("request_id").len()["len"]) <= {5}
        assert found.height >= seen[-1], "what was seen once stays"
        seen.append(found.height)
    assert log.deliveries(IMPRESSIONS_TABLE).height == 600
    assert len(set(seen)) > 3, "no look fell between the first batch and the last"


def ended(pid: int) -> bool:
    """Whether a child is over, as it should be: without an error."""
    done, status = os.waitpid(pid, os.WNOHANG)
    assert status == 0
    return done == pid


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_acknowledged_and_double_nothing(
    open_log: OpenLog, forked: Forked
) -> None:
    """The writer says through a pipe which batches were acknowledged; a successor sends the unsure ones again."""
    moments, sent, acknowledged = random.Random(11), 0, set[int]()
    for _ in range(30):
        readable, writable = os.pipe()

        def write(first: int = sent, writable: int = writable) -> None:
            log = open_log()
            for number in range(first, first + 10_000):
                log.append(events=batch(number))
                os.write(writable, number.to_bytes(4, "big"))

        pid = forked(write)
        os.close(writable)
        said = os.read(readable, 4)  # a slow machine, too, must get somewhere before the kill
        time.sleep(moments.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with open(readable, "rb") as pipe:  # noqa: PTH123  it is a descriptor
            said += pipe.read()
        acknowledged |= {int.from_bytes(said[at : at + 4], "big") for at in range(0, len(said), 4)}
        sent = max(acknowledged, default=-1) + 1  # so that the batch in flight is sent a second time
    log = open_log()
    counted = read_day(log, DAY).interactions["event_id"]
    assert counted.n_unique() == len(counted)
    assert {one.event_id for number in acknowledged for one in batch(number)} <= set(counted)
    assert len(counted) % 8 == 0, "every batch is there whole or not at all"
    assert log.damage() == []
    assert len(acknowledged) >= 30


def batch(number: int) -> list[Event]:
    """Eight events that belong together."""
    return [event(place, event_id=f"b{number}-{place}") for place in range(8)]


def test_versions_depend_on_what_is_stored_and_on_nothing_else(open_log: OpenLog) -> None:
    """Shuffled, cut into other batches, by other writers, one row in ten delivered again: the same days."""
    days = [event(n, received_at=START + 30_000 * n, timestamp=START) for n in range(12)]
    log = open_log()
    log.append(events=days)
    before = day_versions(log, EVENTS_TABLE)
    assert len(before) == 4
    chance = random.Random(5)
    for _ in range(3):
        writer = open_log()
        rows = [replace(one, received_at=one.received_at + chance.randrange(1, 99_999)) for one in days] + days
        chance.shuffle(rows)
        for first in range(0, len(rows), 5):
            writer.append(events=rows[first : first + 5])
    assert day_versions(log, EVENTS_TABLE) == before
    log.append(events=[event(99)])
    assert {day for day, version in day_versions(log, EVENTS_TABLE).items() if version != before[day]} == {DAY}


def test_rows_of_a_user_are_read_since_a_second_with_all_deliveries_of_their_keys(log: EventLog) -> None:
    shown = [impression(1, 1), impression(2, 1), impression(3, 1, user_id=8), impression(4, 1, user_id=None)]
    log.append(requests=[request(1), request(2)], impressions=shown, events=[event(1), event(2), event(4)])
    log.append(impressions=[impression(2, 1, user_id=8)])
    since = START + 2
    found = log.read_user(IMPRESSIONS_TABLE, 7, since)
    assert found.rows["request_id"].to_list() == ["r2"]
    assert found.deliveries["request_id"].to_list() == ["r2", "r2"], "a row of the same key that is another user's"
    assert log.read_user(REQUESTS_TABLE, 7, since).rows["request_id"].to_list() == ["r2"]
    assert sorted(log.read_user(EVENTS_TABLE, 2, START).rows["event_id"]) == ["e1", "e4"]
    assert log.read_user(EVENTS_TABLE, 2, START + 9).rows["event_id"].to_list() == ["e4"]
    assert log.read_user(IMPRESSIONS_TABLE, 9, START).rows.is_empty()
