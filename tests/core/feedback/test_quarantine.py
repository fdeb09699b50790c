"""What was set aside can be read again after a fix, and then leaves the quarantine."""

import io

import pytest

from recsys_core.errors import DataError
from recsys_core.feedback import values
from recsys_core.feedback.importing import Limits, import_lines
from recsys_core.feedback.interactions import read_day
from recsys_core.feedback.log import Counts, EventLog
from recsys_core.feedback.quarantine import clear, reasons, replay
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.core.feedback.conftest import OpenLog
from tests.core.feedback.rows import DAY, START
from tests.core.feedback.test_importing import data, line

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
    assert done.appended.events == Counts(new=2)
    assert (done.n_replayed, done.n_left) == (2, 2)
    assert [one.line for one in with_bad_lines.quarantined()] == [3, 4]
    assert replay(with_bad_lines, wide).n_replayed == 0


def test_a_reader_that_learnt_a_new_kind_lets_its_lines_in(
    with_bad_lines: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "KINDS", (*values.KINDS, "view"))
    assert replay(with_bad_lines, NOW).appended.events == Counts(new=1)


def test_a_kill_between_storing_and_marking_doubles_nothing(sqlite: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    import_lines(io.BytesIO(data(line(1, timestamp=START + 2000))), "a.jsonl", sqlite, NOW)
    wide = Limits(now=NOW.now, future_tolerance_s=3_600)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteLog, "let_go", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            replay(sqlite, wide)
    assert len(sqlite.quarantined()) == 1
    assert replay(sqlite, wide).appended.events == Counts(repeated=1)
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
