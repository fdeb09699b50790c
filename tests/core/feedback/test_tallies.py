"""Acknowledged rows that are gone are noticed, whatever took them, and nothing goes on before the loss is accepted."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from recsys_core.errors import LogError
from recsys_core.feedback import tallies
from recsys_core.feedback.inspection import stats, verify
from recsys_core.feedback.interactions import read_day, read_days
from recsys_core.feedback.log import BadLine, line_id_of
from recsys_core.feedback.records import EVENTS_TABLE
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.feedback.tallies import SIZE, Tally, path_of, read, written
from tests.core.feedback.rows import DAY, START, event, impression, request

PROJECT = Path(__file__).resolve().parents[3]
N = 200


WRITES_AND_DIES = """
import os, sys
from pathlib import Path
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.core.feedback.rows import event
log = SqliteLog(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    log.append(events=[event(number)])
os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def killed_writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a writer that was killed after its 200th event, all of them in its write-ahead log."""
    log = tmp_path_factory.mktemp("killed") / "log"
    writer = subprocess.run([sys.executable, "-c", WRITES_AND_DIES, str(log), str(N)], cwd=PROJECT, check=False)
    assert writer.returncode == -9
    return log


@pytest.fixture
def file(killed_writer: Path, tmp_path: Path) -> Path:
    """The file of that writer, in a copy of its log."""
    shutil.copytree(killed_writer, tmp_path / "log")
    return tmp_path / "log" / "writer-000.sqlite"


def edit(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


def held(file: Path) -> dict[str, bytes]:
    """What is kept of a writer's rows."""
    names = (file.name, f"{file.name}-wal", path_of(file).name)
    kept = {name: file.parent / name for name in names if (file.parent / name).exists()}
    return {name: path.read_bytes() for name, path in kept.items() if path.stat().st_size}


def flip_a_bit_of_the_wal(file: Path) -> None:
    wal = file.with_name(f"{file.name}-wal")
    content = bytearray(wal.read_bytes())
    content[len(content) // 2] ^= 1
    wal.write_bytes(content)


def lose_the_wal(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def delete_the_file(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def empty_the_file(file: Path) -> None:
    delete_the_file(file)
    file.touch()


def delete_the_first_rows(file: Path) -> None:
    edit(file, "DELETE FROM events WHERE rowid <= 20")


def delete_the_last_rows(file: Path) -> None:
    edit(file, "DELETE FROM events WHERE rowid > 150")


def delete_all_rows(file: Path) -> None:
    edit(file, "DELETE FROM events")


def move_a_row_to_another_day(file: Path) -> None:
    edit(file, "UPDATE events SET received_at = received_at + 86400 WHERE rowid = 7")


def exchange_a_row(file: Path) -> None:
    """For another whole row, with a digest that fits it."""
    edit(file, "DELETE FROM events WHERE rowid = 200")
    with SqliteLog(file.parent / "other") as other:
        other.append(events=[event(999)])
    other_file = file.parent / "other" / file.name
    edit_from = f"ATTACH '{other_file}' AS other"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(edit_from)
        connection.execute("INSERT INTO events SELECT * FROM other.events")
        connection.commit()


HARMS = [
    flip_a_bit_of_the_wal,
    lose_the_wal,
    delete_the_file,
    empty_the_file,
    delete_the_first_rows,
    delete_the_last_rows,
    delete_all_rows,
    move_a_row_to_another_day,
    exchange_a_row,
]


@pytest.mark.parametrize("harm", HARMS)
def test_a_log_that_lost_rows_is_refused_until_that_is_accepted(harm: Callable[[Path], None], file: Path) -> None:
    harm(file)
    log = SqliteLog(file.parent)
    for read_it in (lambda: log.deliveries(EVENTS_TABLE), lambda: list(read_days(log, [DAY])), lambda: stats(log)):
        with pytest.raises(LogError, match="accept-loss"):
            read_it()
    damage = verify(log).damage
    assert len(damage) == 1
    assert str(file) in damage[0]
    assert log.accept_loss() == damage
    assert verify(log).damage == []
    assert log.deliveries(EVENTS_TABLE).height <= N
    assert log.accept_loss() == []


@pytest.mark.parametrize("harm", [flip_a_bit_of_the_wal, delete_the_file, delete_the_last_rows, empty_the_file])
def test_a_writer_leaves_a_file_that_lost_rows_as_it_is_and_takes_another(
    harm: Callable[[Path], None], file: Path
) -> None:
    harm(file)
    before = held(file)
    with SqliteLog(file.parent) as log:
        log.append(events=[event(1_000)])
        assert log.damage()
    assert held(file) == before
    assert (file.parent / "writer-001.sqlite").exists()


def test_what_was_lost_counts_again_once_it_is_back(file: Path) -> None:
    wal = file.with_name(f"{file.name}-wal")
    whole = wal.read_bytes()
    flip_a_bit_of_the_wal(file)
    log = SqliteLog(file.parent)
    with pytest.raises(LogError):
        log.deliveries(EVENTS_TABLE)
    wal.write_bytes(whole)
    assert log.deliveries(EVENTS_TABLE).height == N
    assert log.damage() == []


def test_the_first_read_after_a_writer_died_moves_its_rows_into_the_file(file: Path) -> None:
    wal = file.with_name(f"{file.name}-wal")
    assert wal.stat().st_size > N * 100
    log = SqliteLog(file.parent)
    assert log.deliveries(EVENTS_TABLE).height == N
    assert not wal.exists() or not wal.stat().st_size
    assert log.deliveries(EVENTS_TABLE).height == N


def test_a_reader_leaves_the_write_ahead_log_of_a_living_writer_alone(tmp_path: Path) -> None:
    with SqliteLog(tmp_path) as writer:
        writer.append(events=[event(1)])
        wal = tmp_path / "writer-000.sqlite-wal"
        size = wal.stat().st_size
        assert SqliteLog(tmp_path).deliveries(EVENTS_TABLE).height == 1
        assert wal.stat().st_size == size > 0


def test_a_writer_that_ends_leaves_no_write_ahead_log(tmp_path: Path) -> None:
    with SqliteLog(tmp_path) as log:
        log.append(events=[event(1)])
    assert not (tmp_path / "writer-000.sqlite-wal").exists()


def test_a_tally_that_lags_behind_its_file_is_no_loss_and_is_caught_up_on(file: Path) -> None:
    """As after a kill between the commit and the tally, or a power cut."""
    tally = path_of(file)
    for content in (b"", bytes(SIZE), written({"events": Tally().plus([])})):
        tally.write_bytes(content)
        assert SqliteLog(file.parent).deliveries(EVENTS_TABLE).height == N
    with SqliteLog(file.parent) as log:
        log.append(events=[event(1_000)])
        assert log.damage() == []
    assert read(file)["events"].n == N + 1


def test_a_log_of_an_earlier_version_is_read_and_is_counted_from_its_next_writer_on(file: Path) -> None:
    path_of(file).unlink()
    edit(file, "DROP TABLE notes")
    log = SqliteLog(file.parent)
    assert read_day(log, DAY).interactions.height == N
    assert log.damage() == []
    with log:
        log.append(events=[event(1_000)])
    delete_the_first_rows(file)
    assert "differ from those that were acknowledged" in log.damage()[0]


@pytest.mark.parametrize("content", [b"{}", b"[" * SIZE, b"\xff" * SIZE, b'{"rows": {"events": 7}, "sha256": 1}'])
def test_a_damaged_tally_is_told_and_can_be_made_anew(content: bytes, file: Path) -> None:
    path_of(file).write_bytes(content)
    log = SqliteLog(file.parent)
    with pytest.raises(LogError, match=r"writer-000\.tally is damaged"):
        log.deliveries(EVENTS_TABLE)
    assert "tally is damaged" in log.damage()[0]
    assert log.accept_loss()
    assert log.deliveries(EVENTS_TABLE).height == N


def test_a_link_or_a_fifo_in_the_place_of_a_tally_is_damage(file: Path) -> None:
    path, log = path_of(file), SqliteLog(file.parent)
    elsewhere = file.parent.parent / "elsewhere"
    path.rename(elsewhere)
    for harm in (lambda: path.symlink_to(elsewhere), lambda: os.mkfifo(path), path.mkdir):
        harm()
        assert "tally is damaged" in log.damage()[0]
        assert log.accept_loss()
        assert log.damage() == []
        path.unlink()


def test_every_table_is_counted(tmp_path: Path) -> None:
    about = {"source": "a", "line": 1, "column": "", "reason": "not JSON", "value": "{", "set_aside_at": START}
    bad = BadLine(line_id=line_id_of(b"{"), raw=b"{", **about)
    with SqliteLog(tmp_path) as log:
        log.append(requests=[request()], impressions=[impression()], events=[event()])
        log.quarantine([bad])
        log.release([bad.line_id], START)
    counted = read(tmp_path / "writer-000.sqlite")
    assert {name: one.n for name, one in counted.items() if one.n} == {
        "requests": 1, "impressions": 1, "events": 1, "quarantine": 1, "replayed": 1
    }  # fmt: skip
    assert set(counted) == set(tallies.TALLIED)


def test_a_loss_is_not_accepted_while_the_file_is_written(tmp_path: Path) -> None:
    with SqliteLog(tmp_path) as writer:
        writer.append(events=[event(1)])
        path_of(tmp_path / "writer-000.sqlite").write_bytes(b"{}")
        with pytest.raises(LogError, match="is being written"):
            SqliteLog(tmp_path).accept_loss()


def test_a_tally_has_one_size_whatever_it_counts() -> None:
    largest = {name: Tally(n=2**62, last=2**62, total=2**128 - 1) for name in tallies.TALLIED}
    assert len(written({})) == len(written(largest)) == SIZE
