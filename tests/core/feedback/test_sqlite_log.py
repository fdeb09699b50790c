"""What only the log in SQLite files does; what every log promises is in test_log."""

import sqlite3
from pathlib import Path

from recsys_core.feedback.records import EVENTS_TABLE
from recsys_core.feedback.sqlite_files import log_files
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.core.feedback.rows import START, event


def test_reading_makes_no_writer(tmp_path: Path) -> None:
    with SqliteLog(tmp_path / "log") as log:
        log.deliveries(EVENTS_TABLE)
        log.quarantined()
        assert not (tmp_path / "log").exists()
        log.append(events=[event(1)])
    with SqliteLog(tmp_path / "log") as reader, SqliteLog(tmp_path / "log") as writer:
        assert reader.deliveries(EVENTS_TABLE).height == 1
        writer.append(events=[event(2)])
    assert [path.name for path in log_files(reader.folder)] == ["writer-000.sqlite"]


def test_a_plan_reads_an_index_and_never_the_rows(sqlite: SqliteLog) -> None:
    sqlite.append(events=[event(1)])
    connection = sqlite3.connect(sqlite.folder / "writer-000.sqlite")
    question = "EXPLAIN QUERY PLAN SELECT event_id, received_at, digest FROM events"
    assert "USING COVERING INDEX events_by_key" in str(connection.execute(question).fetchall())
    day = f"EXPLAIN QUERY PLAN SELECT * FROM events WHERE received_at >= {START} AND received_at < {START + 86_400}"
    assert "USING INDEX events_by_arrival" in str(connection.execute(day).fetchall())
    connection.close()


def test_a_copied_file_of_another_log_adds_its_rows_once(tmp_path: Path) -> None:
    with SqliteLog(tmp_path / "a") as one, SqliteLog(tmp_path / "b") as other:
        one.append(events=[event(1), event(2)])
        other.append(events=[event(2), event(3)])
    (tmp_path / "b" / "writer-000.sqlite").rename(tmp_path / "a" / "of-another-machine.sqlite")
    assert sorted(one.deliveries(EVENTS_TABLE).unique()["event_id"]) == ["e1", "e2", "e3"]
