"""The folder of sockets is private, short and does not stay behind; and signals that end the UI are heard."""

import signal
import stat
import tempfile
from pathlib import Path

import pytest

from recsys_assets.ui.processes import LONGEST_FOLDER, interruptible, private_folder


def test_the_folder_is_private_and_removed_afterwards(tmp_path: Path) -> None:
    record = tmp_path / "folder"
    with private_folder(record) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert record.read_text() == str(folder)
    assert not folder.exists()
    assert not record.exists()


def test_its_path_is_short_wherever_temporary_files_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 100)))
    with private_folder(tmp_path / "folder") as folder:
        assert len(str(folder)) <= LONGEST_FOLDER


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left_over = Path(tempfile.mkdtemp(prefix="recsys-ui-", dir=tmp_path))
    (left_over / "code.sock").touch()
    (tmp_path / "folder").write_text(str(left_over))
    with private_folder(tmp_path / "folder"):
        assert not left_over.exists()


@pytest.mark.parametrize("said", [b"", b"\xff\0", b"precious", b"link"])
def test_a_damaged_record_removes_nothing_else(tmp_path: Path, said: bytes) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (tmp_path / "recsys-ui-link").symlink_to(precious)
    path = {b"precious": precious, b"link": tmp_path / "recsys-ui-link"}.get(said)
    (tmp_path / "folder").write_bytes(said if path is None else str(path).encode())
    with private_folder(tmp_path / "folder"):
        assert (precious / "file").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_each_signal_to_end_is_heard_also_where_a_script_had_it_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
