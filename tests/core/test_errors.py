"""What the machine refuses is one sentence with its remedy, and what may be a fault of ours keeps its traceback."""

import errno
import os
from pathlib import Path

import pytest

from recsys_core.errors import MachineError, machine_error, machine_errors_explained


def test_a_file_in_the_way_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    why = r"file/folder: not a directory: there is a file where a folder is expected"
    with pytest.raises(MachineError, match=why), machine_errors_explained():
        (tmp_path / "file" / "folder").mkdir()


def test_a_folder_that_may_not_be_written_is_named_with_the_remedy() -> None:
    folder = Path("/sys/kernel/recsys")
    if not folder.parent.is_dir():
        pytest.skip("no /sys")
    why = r"^/sys/kernel/recsys: .*: check the permissions, or choose another folder"
    with pytest.raises(MachineError, match=why), machine_errors_explained():
        folder.mkdir()


def test_a_full_disk_is_told_even_where_no_file_is_named() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    why = r"^no space left .* gc"
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(MachineError, match=why), machine_errors_explained():
        os.write(full, b"x")
    os.close(full)


def test_both_names_of_a_rename_are_told(tmp_path: Path) -> None:
    fault = OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path / "a"), None, str(tmp_path / "b"))
    assert str(machine_error(fault)).startswith(f"{tmp_path}/a and {tmp_path}/b: read-only file system: ")


def test_a_file_that_is_gone_is_a_fault_of_ours(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), machine_errors_explained():
        (tmp_path / "gone").read_bytes()
