"""A sweep removes what the dead left, and nothing of the living."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.lake import Lake, Lineage, drafts, locks


def test_a_draft_of_a_dead_writer_is_swept(lake: Lake, child: Callable[[Callable[[], object]], int], text) -> None:
    def die(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

    assert child(lambda: lake.publish("a", die, Lineage(code_version="c"))) == -signal.SIGKILL
    assert len(list((lake.root / "drafts").iterdir())) == 1
    assert len(lake.sweep()) == 1
    assert not list((lake.root / "drafts").iterdir())
    assert lake.current("a") is None


def test_a_draft_of_a_live_writer_is_left_to_it(lake: Lake, lineage: Lineage, text) -> None:
    def write(folder: Path) -> None:
        text("x")(folder)
        assert lake.sweep() == []

    assert lake.publish("a", write, lineage) == lake.verify("a")


def test_a_writer_whose_folder_was_swept_before_it_was_locked_takes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, swept = locks.try_folder, []

    def swept_once(folder: Path) -> int | None:
        if not swept:
            swept.append(folder)
            shutil.rmtree(folder)
        return real(folder)

    monkeypatch.setattr(locks, "try_folder", swept_once)
    with drafts.draft(tmp_path, "a") as folder:
        assert folder.is_dir()
        assert folder != swept[0]


def test_a_lock_on_a_folder_that_was_replaced_meanwhile_guards_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    real = locks.fcntl.flock

    def replaced(descriptor: int, operation: int) -> None:
        folder.rmdir()
        (tmp_path / "other").mkdir()
        (tmp_path / "other").rename(folder)
        real(descriptor, operation)

    monkeypatch.setattr(locks.fcntl, "flock", replaced)
    assert locks.try_folder(folder) is None


def test_one_folder_is_locked_once(tmp_path: Path) -> None:
    held = locks.try_folder(tmp_path)
    assert held is not None
    assert locks.try_folder(tmp_path) is None
    locks.release(held)
    again = locks.try_folder(tmp_path)
    assert again is not None
    locks.release(again)


def test_stray_files_and_links_among_the_drafts_are_left_alone(lake: Lake, tmp_path: Path) -> None:
    (lake.root / "drafts").mkdir(parents=True)
    (lake.root / "drafts" / "note").write_text("x")
    (tmp_path / "precious").mkdir()
    (lake.root / "drafts" / "link").symlink_to(tmp_path / "precious")
    assert lake.sweep() == []
    assert (tmp_path / "precious").is_dir()
