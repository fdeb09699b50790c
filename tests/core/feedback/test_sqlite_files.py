"""One file per writer at a time; what is damaged, foreign, full or forbidden is named with its remedy."""

import io
import os
import resource
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from recsys_core.errors import LogError
from recsys_core.feedback.importing import import_lines
from recsys_core.feedback.inspection import verify
from recsys_core.feedback.interactions import read_day
from recsys_core.feedback.parsing import Limits
from recsys_core.feedback.records import EVENTS_TABLE
from recsys_core.feedback.sqlite_files import MAX_WRITERS, Writer, log_files, open_reader
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.core.feedback.rows import DAY, START, event, impression

Forked = Callable[[Callable[[], object]], int]


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_writers_at_once_have_files_of_their_own_and_the_next_one_takes_a_free_file(tmp_path: Path) -> None:
    one, two = Writer(tmp_path), Writer(tmp_path)
    assert (one.path.name, two.path.name) == ("writer-000.sqlite", "writer-001.sqlite")
    one.close()
    three = Writer(tmp_path)
    assert three.path == one.path
    two.close()
    three.close()
    assert len(log_files(tmp_path)) == 2


def test_a_killed_writer_leaves_its_file_to_the_next(tmp_path: Path, forked: Forked) -> None:
    def write_and_die() -> None:
        SqliteLog(tmp_path).append(events=[event(1)])
        os.kill(os.getpid(), 9)

    for _ in range(3):
        assert status_of(forked(write_and_die)) == -9
    with SqliteLog(tmp_path) as log:
        log.append(events=[event(2)])
        assert read_day(log, DAY).interactions["event_id"].to_list() == ["e1", "e2"]
    assert [path.name for path in log_files(tmp_path)] == ["writer-000.sqlite"]


def test_there_is_an_end_to_the_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_core.feedback.sqlite_files.MAX_WRITERS", 2)
    writers = [Writer(tmp_path), Writer(tmp_path)]
    with pytest.raises(LogError, match="already has 2 writers"):
        Writer(tmp_path)
    for writer in writers:
        writer.close()
    assert MAX_WRITERS > 2


def test_a_commit_waits_for_the_disk_and_readers_are_not_in_the_way(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    assert writer.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert writer.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    reader = open_reader(writer.path)
    assert reader is not None
    reader.execute("SELECT * FROM events").fetchall()
    with writer.transaction() as connection:
        connection.execute("INSERT INTO replayed VALUES (x'00', 1)")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO replayed VALUES (x'01', 1)")
    reader.close()
    writer.close()


def test_threads_may_share_a_log(tmp_path: Path) -> None:
    with SqliteLog(tmp_path) as log:
        threads = [
            threading.Thread(target=lambda n=n: [log.append(events=[event(100 * n + i)]) for i in range(20)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.deliveries(EVENTS_TABLE).height == 80
    assert len(log_files(tmp_path)) == 1


def test_a_log_does_not_write_from_a_forked_child(tmp_path: Path, forked: Forked) -> None:
    log = SqliteLog(tmp_path)
    log.append(events=[event(1)])

    def write() -> None:
        with pytest.raises(LogError, match="was opened before this process was forked"):
            log.append(events=[event(2)])

    assert status_of(forked(write)) == 0
    log.close()


def test_a_file_whose_writer_died_before_it_made_the_tables_is_empty(tmp_path: Path) -> None:
    (tmp_path / "writer-000.sqlite").touch()
    log = SqliteLog(tmp_path)
    assert log.deliveries(EVENTS_TABLE).is_empty()
    assert log.damage() == []
    log.append(events=[event(1)])
    assert log.deliveries(EVENTS_TABLE).height == 1
    log.close()


def test_the_file_of_another_program_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "notes.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    with pytest.raises(LogError, match=rf"{foreign} is the database of another program"):
        SqliteLog(tmp_path).deliveries(EVENTS_TABLE)


def test_a_newer_version_is_refused_by_readers_and_writers(tmp_path: Path) -> None:
    with SqliteLog(tmp_path) as log:
        log.append(events=[event(1)])
    with sqlite3.connect(tmp_path / "writer-000.sqlite") as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    for act in (lambda: log.deliveries(EVENTS_TABLE), lambda: log.append(events=[event(2)])):
        with pytest.raises(LogError, match=r"writer-000\.sqlite has version 2 of the event log, this program knows 1"):
            act()
    with pytest.raises(LogError, match="version 2"):
        log.append(events=[event(2)])
    assert len(log_files(tmp_path)) == 1, "a failed start holds no file back"


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The file of a closed log with two thousand events."""
    with SqliteLog(tmp_path) as log:
        log.append(events=[event(number) for number in range(2000)], impressions=[impression()])
    return tmp_path / "writer-000.sqlite"


@pytest.mark.parametrize("damage", ["header", "cut", "page", "text"])
def test_a_damaged_file_is_named_with_what_to_do(filled: Path, damage: str) -> None:
    data = bytearray(filled.read_bytes())
    if damage == "header":
        data[:16] = b"not a database.."
    elif damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "page":
        data[3 * 4096 : 4 * 4096] = b"\xff" * 4096
        data[-4096:] = b"\xff" * 4096
    else:
        data = bytearray(b"What is this?\n" * 1000)
    filled.write_bytes(data)
    log = SqliteLog(filled.parent)
    assert any(str(filled) in fault for fault in log.damage())
    if damage != "page":  # which pages a question touches is SQLite's affair
        with pytest.raises(LogError, match=rf"{filled}: .*(it is damaged|it is not an SQLite file)"):
            log.deliveries(EVENTS_TABLE)


@pytest.mark.parametrize("column", ["user_id", "value", "timestamp", "digest"])
def test_a_value_that_changed_on_the_disk_is_noticed_when_it_is_read(filled: Path, column: str) -> None:
    """SQLite has no checksums: a flipped bit in a value is a valid file with another value."""
    with sqlite3.connect(filled) as connection:
        connection.execute(f"UPDATE events SET {column} = 99 WHERE event_id = 'e77'")
    connection.close()
    log = SqliteLog(filled.parent)
    with pytest.raises(LogError, match=rf"{filled}: the row e77 of events is not as it was written"):
        read_day(log, DAY)
    assert len(log.damage()) == 1


@pytest.mark.slow
def test_a_flipped_bit_anywhere_never_passes_for_the_truth(filled: Path) -> None:
    """A hundred and more places in turn: the day is as it was, or refused, or the check of everything tells."""
    log = SqliteLog(filled.parent)
    right, whole = read_day(log, DAY), filled.read_bytes()
    told = 0
    for at in range(100, len(whole), len(whole) // 120):
        filled.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            same = read_day(log, DAY).interactions.equals(right.interactions)
        except LogError:
            told += 1
            continue
        assert same or log.damage(), f"byte {at}"
    assert told > 15


@pytest.mark.parametrize("change", ["received_at = 'soon'", "received_at = NULL", "digest = 7", "event_id = x'ff'"])
def test_a_key_or_an_arrival_of_another_type_is_damage_and_no_traceback(change: str, sqlite: SqliteLog) -> None:
    """What a plan reads of the whole log has no digest beside it that was compared."""
    sqlite.append(events=[event(1), event(2)])
    sqlite.close()
    with closing(sqlite3.connect(sqlite.folder / "writer-000.sqlite")) as file, file:
        file.execute(f"UPDATE OR IGNORE events SET {change} WHERE event_id = 'e2'")
    with pytest.raises(LogError, match="the storage is damaged"):
        sqlite.deliveries(EVENTS_TABLE)
    assert verify(sqlite).damage


@pytest.mark.parametrize("change", ["set_aside_at = 'then'", "line = NULL", "raw = 'other'", "reason = x'00'"])
def test_a_line_in_quarantine_that_was_altered_is_damage(change: str, sqlite: SqliteLog) -> None:
    import_lines(io.BytesIO(b"{\n[1]\n"), "a.jsonl", sqlite, Limits(now=START + 86_400))
    sqlite.close()
    with closing(sqlite3.connect(sqlite.folder / "writer-000.sqlite")) as file, file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = 'quarantine'")
    with closing(sqlite3.connect(sqlite.folder / "writer-000.sqlite")) as file, file:
        file.execute(f"UPDATE quarantine SET {change} WHERE line = 1")
    with pytest.raises(LogError, match="in the quarantine"):
        sqlite.quarantined()
    assert "quarantine" in verify(sqlite).damage[0]


def fill(log: SqliteLog) -> tuple[set[str], str]:
    """Append until it fails: what was acknowledged, and the message."""
    acknowledged: set[str] = set()
    for number in range(10_000):
        rows = [event(place, event_id=f"{number}-{place}") for place in range(50)]
        try:
            log.append(events=rows)
        except LogError as error:
            return acknowledged, str(error)
        acknowledged |= {one.event_id for one in rows}
    pytest.fail("the disk was never full")


def test_a_full_disk_is_told_and_loses_nothing_that_was_acknowledged(small_disk: Path) -> None:
    with SqliteLog(small_disk / "log") as log:
        acknowledged, message = fill(log)
        assert "the disk is full, and nothing of the batch was stored" in message
        assert acknowledged
        assert set(read_day(log, DAY).interactions["event_id"]) == acknowledged
        assert log.damage() == []


def test_a_limit_on_the_size_of_files_is_told_too(tmp_path: Path, forked: Forked) -> None:
    def beyond_the_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        log = SqliteLog(tmp_path)
        acknowledged, message = fill(log)
        assert "writer-000.sqlite" in message
        assert "the disk fails or is full" in message
        os.write(writable, "\n".join(acknowledged).encode())

    readable, writable = os.pipe()
    assert status_of(forked(beyond_the_limit)) == 0
    os.close(writable)
    with open(readable) as pipe:  # noqa: PTH123  it is a descriptor
        acknowledged = set(pipe.read().split())
    # Read here, since the threads of polars do not survive a fork.
    assert acknowledged
    assert set(read_day(SqliteLog(tmp_path), DAY).interactions["event_id"]) == acknowledged


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path, forked: Forked) -> None:
    folder = tmp_path / "log"
    folder.mkdir(mode=0o555)

    def write() -> None:
        os.chdir(folder)  # the folders above may be closed to the other user
        if os.getuid() == 0:
            os.seteuid(65_534)  # root may write everywhere
        with pytest.raises(LogError, match="Permission denied: check the disk and the permissions of the folder"):
            SqliteLog(Path()).append(events=[event(1)])

    assert status_of(forked(write)) == 0


def test_a_file_that_may_not_be_written_is_told(filled: Path, forked: Forked) -> None:
    with TemporaryDirectory() as name:  # not below a folder of pytest's, which is closed to the other user
        folder = Path(name)
        folder.chmod(0o777)
        shutil.copy(filled, folder)
        (folder / filled.name).chmod(0o444)

        def write() -> None:
            if os.getuid() == 0:
                os.seteuid(65_534)
            with pytest.raises(LogError, match=r"writer-000\.sqlite: attempt to write a readonly database; it cannot"):
                SqliteLog(folder).append(events=[event(1, received_at=START + 77)])

        assert status_of(forked(write)) == 0


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert log_files(tmp_path / "nowhere") == []
