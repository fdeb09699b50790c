"""What was set aside can be read again after a fix, and then leaves the quarantine."""

import io
import json

import pytest

from recsys_core.errors import DataError, LogError
from recsys_core.feedback import values
from recsys_core.feedback.deduplication import rows_until, served_version, shown_version
from recsys_core.feedback.importing import import_lines
from recsys_core.feedback.interactions import read_day
from recsys_core.feedback.log import AppendCounts, BadLine, EventLog, line_id_of
from recsys_core.feedback.parsing import Limits
from recsys_core.feedback.quarantine import (
    STANDARD_INPUT,
    clear,
    exclude_request,
    excluded_requests,
    key_in,
    key_of,
    reasons,
    replay,
    without_requests,
)
from recsys_core.feedback.records import IMPRESSIONS_TABLE
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.core.feedback.conftest import OpenLog
from tests.core.feedback.rows import DAY, START, event, impression, request
from tests.core.feedback.test_importing import data, imported, line
from tests.core.feedback.test_parsing import IMPRESSION, REQUEST

NOW = Limits(now=START + 86_400)


@pytest.fixture
def with_bad_lines(log: EventLog) -> EventLog:
    """Two events from the future, one of an unknown kind, one that is no JSON, one that is right."""
    early = [line(number, timestamp=START + 2000 + number) for number in (1, 2)]
    import_lines(io.BytesIO(data(*early, line(3, kind="view", value=None), b"{", line(4))), "a.jsonl", log, NOW)
    return log


def test_nothing_changes_while_nothing_was_mended(with_bad_lines: EventLog) -> None:
    done = replay(with_bad_lines, NOW)
    assert (done.n_replayed, done.n_left) == (0, 4)
    assert read_day(with_bad_lines, DAY).counts["accepted"] == 1


def test_a_wider_setting_lets_lines_in_once(with_bad_lines: EventLog, open_log: OpenLog) -> None:
    wide = Limits(now=NOW.now, future_tolerance_s=3_600)
    done = replay(open_log(), wide)  # another writer than the one that set them aside
    assert done.appended.events == AppendCounts(new=2)
    assert (done.n_replayed, done.n_left) == (2, 2)
    assert [one.line for one in with_bad_lines.quarantined()] == [3, 4]
    assert replay(with_bad_lines, wide).n_replayed == 0


def test_a_reader_that_learnt_a_new_kind_lets_its_lines_in(
    with_bad_lines: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "KINDS", (*values.KINDS, "view"))
    assert replay(with_bad_lines, NOW).appended.events == AppendCounts(new=1)


def test_a_kill_between_storing_and_marking_doubles_nothing(sqlite: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    import_lines(io.BytesIO(data(line(1, timestamp=START + 2000))), "a.jsonl", sqlite, NOW)
    wide = Limits(now=NOW.now, future_tolerance_s=3_600)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteLog, "release", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            replay(sqlite, wide)
    assert len(sqlite.quarantined()) == 1
    assert replay(sqlite, wide).appended.events == AppendCounts(repeated=1)
    assert sqlite.quarantined() == []


def test_reasons_are_counted_the_most_frequent_first(with_bad_lines: EventLog) -> None:
    assert list(reasons(with_bad_lines.quarantined()).items()) == [
        ("timestamp: from the future", 2),
        ("kind: unknown kind", 1),
        ("not JSON", 1),
    ]
    assert reasons([]) == {}


def test_lines_are_dismissed_by_file_or_all_and_are_back_when_they_come_again(with_bad_lines: EventLog) -> None:
    import_lines(io.BytesIO(b"rubbish\n"), "b.jsonl", with_bad_lines, NOW)
    with pytest.raises(DataError, match=r"no line of c.jsonl is in quarantine; there are lines of a.jsonl, b.jsonl"):
        clear(with_bad_lines, NOW.now, "c.jsonl")
    assert clear(with_bad_lines, NOW.now, "a.jsonl") == 4
    assert [one.source for one in with_bad_lines.quarantined()] == ["b.jsonl"]
    assert clear(with_bad_lines, NOW.now) == 1
    assert clear(with_bad_lines, NOW.now) == 0
    assert replay(with_bad_lines, NOW).n_left == 0
    import_lines(io.BytesIO(b"rubbish\n"), "b.jsonl", with_bad_lines, NOW)
    assert [one.raw for one in with_bad_lines.quarantined()] == [b"rubbish"]


def test_a_replay_tells_of_movies_that_do_not_exist(with_bad_lines: EventLog) -> None:
    wide = Limits(now=NOW.now, future_tolerance_s=3_600, known_items={int(str(line(1)["item_id"]))})
    assert replay(with_bad_lines, wide).unknown_items == {int(str(line(2)["item_id"])): 1}


def bad(raw: bytes, column: str = "") -> BadLine:
    return BadLine(
        line_id=line_id_of(raw), source="a", line=1, column=column, reason="", value="", raw=raw, set_aside_at=0
    )


def waiting(log: SqliteLog) -> list[tuple[str, int]]:
    return [(one.source, one.line) for one in log.quarantined()]


def test_the_key_of_a_line_is_that_of_the_row_it_should_have_been() -> None:
    assert key_in(bad(json.dumps(line(3, kind="x")).encode())) == key_of(event(3)) == ("events", "e3")
    assert key_in(bad(b'{"type": "evnt", "event_id":"e3"')) == key_of(event(3))
    assert key_in(bad(b'{"type": "request", "request_id": "r1", "k": tru')) == key_of(request(1)) == ("requests", "r1")
    shown = b'{"request_id": "r1", "type": "impression", "position": 2'
    assert key_in(bad(shown)) == key_of(impression(1, 2)) == ("impressions", "r1", "2")


@pytest.mark.parametrize(
    "raw",
    [
        b"rubbish",
        b"[",
        b"\xff\xfe",
        b'{"request_id": "r1"}',
        b'{"type": "impression", "request_id": "r1"}',
        b'{"event_id": "\\x"',
    ],
)
def test_a_line_without_a_whole_key_has_none(raw: bytes) -> None:
    """An event may name a request: its line is not that request."""
    assert key_in(bad(raw)) is None


def test_a_key_that_is_itself_at_fault_is_none() -> None:
    assert key_in(bad(b'{"event_id": 7, "user_id": 1}', column="event_id")) is None


@pytest.mark.parametrize("kind", ["request", "impression"])
def test_requests_and_impressions_are_mended_like_events(sqlite: SqliteLog, kind: str) -> None:
    right = {"request": REQUEST, "impression": IMPRESSION}[kind] | {"type": kind}
    imported(sqlite, data(right | {"release": ""}))
    assert len(sqlite.quarantined()) == 1
    assert imported(sqlite, data(right), source="another.jsonl").n_resolved == 1
    assert sqlite.quarantined() == []


def test_a_line_without_a_key_leaves_with_its_file(sqlite: SqliteLog) -> None:
    imported(sqlite, data(line(1), b"rubbish", line(2), b"more"))
    assert imported(sqlite, data(line(1), line(3), line(2), b"more")).n_resolved == 1
    assert waiting(sqlite) == [("a.jsonl", 4)]
    assert imported(sqlite, data(line(1), line(3), line(2))).n_resolved == 1, "the line was deleted from the file"
    assert waiting(sqlite) == []


def test_a_file_of_nothing_but_rubbish_can_be_mended(sqlite: SqliteLog) -> None:
    imported(sqlite, b"rubbish\n")
    assert imported(sqlite, data(line(1))).n_resolved == 1
    assert waiting(sqlite) == []


def test_an_array_that_became_lines_leaves_whole(sqlite: SqliteLog) -> None:
    imported(sqlite, json.dumps([line(1), line(2)], indent=1).encode() + b"\n")
    assert len(sqlite.quarantined()) > 10
    imported(sqlite, data(line(1), line(2)))
    assert waiting(sqlite) == []


def test_another_file_of_the_same_name_makes_up_for_nothing(sqlite: SqliteLog) -> None:
    """As where a program writes to one name every day. The same holds of two pipes."""
    imported(sqlite, data(line(1), b"rubbish", line(2)))
    assert imported(sqlite, data(line(2), line(5), line(6), line(7), line(8))).n_resolved == 0
    assert imported(sqlite, data(line(1), line(3), line(2)), source="b.jsonl").n_resolved == 0
    assert waiting(sqlite) == [("a.jsonl", 2)]
    imported(sqlite, data(line(1), b"pipe"), source=STANDARD_INPUT)
    assert imported(sqlite, data(line(1), line(2)), source=STANDARD_INPUT).n_resolved == 0


def test_a_line_at_fault_waits_whatever_else_bears_its_key(sqlite: SqliteLog) -> None:
    both = data(line(1), line(1, kind="veiw"))
    for _ in range(2):
        assert imported(sqlite, both).n_resolved == 0
        assert waiting(sqlite) == [("a.jsonl", 2)]


def test_a_file_that_is_not_finished_makes_up_for_nothing_yet(sqlite: SqliteLog) -> None:
    imported(sqlite, data(line(1), b"rubbish", line(2)))
    assert imported(sqlite, data(line(1), line(2)) + b'{"event_id"').n_resolved == 0
    assert waiting(sqlite) == [("a.jsonl", 2)]


def test_blank_lines_that_an_older_program_set_aside_leave_with_the_next_import(sqlite: SqliteLog) -> None:
    sqlite.quarantine([bad(b" \r")])
    assert imported(sqlite, data(line(1)), source="b.jsonl").n_resolved == 1
    assert sqlite.quarantined() == []


def test_a_request_set_aside_is_told_stays_in_the_log_and_comes_back(log: EventLog) -> None:
    log.append(requests=[request(1), request(2)], impressions=[impression(1), impression(2)])
    versions = served_version(log, DAY), shown_version(log, DAY)
    whole = rows_until(log, IMPRESSIONS_TABLE, DAY)
    exclude_request(log, "r1", 1)
    assert excluded_requests(log) == {"r1"}
    assert rows_until(log, IMPRESSIONS_TABLE, DAY).equals(whole)
    assert without_requests(whole, excluded_requests(log))["request_id"].to_list() == ["r2"]
    assert not {served_version(log, DAY), shown_version(log, DAY)} & set(versions), "what reads the log is made anew"
    exclude_request(log, "r1", 2, take_back=True)
    assert excluded_requests(log) == set()
    assert without_requests(whole, excluded_requests(log)).equals(whole)
    assert (served_version(log, DAY), shown_version(log, DAY)) == versions
    exclude_request(log, "r1", 3)
    assert excluded_requests(log) == {"r1"}


def test_slots_without_their_request_can_be_set_aside(log: EventLog) -> None:
    log.append(impressions=[impression(1)])
    exclude_request(log, "r1", 1)
    assert excluded_requests(log) == {"r1"}


def test_a_request_that_is_not_there_is_refused(log: EventLog) -> None:
    with pytest.raises(LogError, match="holds no request 'r1'"):
        exclude_request(log, "r1", 1)
