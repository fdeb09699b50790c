"""A sweep removes what the dead left, and nothing of the living."""

import contextlib
import errno
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.errors import ArtifactError
from recsys_core.lake import Lake, Lineage, Manifest, drafts, locks
from recsys_core.lake.drafts import disk_full_explained


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


LINEAGE = Lineage(code_version="c1")


def big(content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "rows.bin").write_bytes(content) and None


def attempt(lake: Lake, content: bytes) -> tuple[Manifest | None, str]:
    """What was published, or the message of the refusal."""
    try:
        return lake.publish("a", big(content), LINEAGE), ""
    except ArtifactError as error:
        return None, str(error)


def is_whole(lake: Lake) -> bool:
    return not list((lake.root / "drafts").iterdir()) and lake.verify("a") == lake.current("a")


def test_a_disk_that_fills_at_any_stage_of_a_publication_leaves_the_old_version(small_disk: Path) -> None:
    lake = Lake(small_disk)
    old = lake.publish("a", big(b"old"), LINEAGE)
    failed = 0
    for free in range(0, 40_960, 1024):
        ballast = small_disk / "ballast"
        disk = os.statvfs(small_disk)
        ballast.write_bytes(bytes(disk.f_bavail * disk.f_bsize - free))
        new, refusal = attempt(lake, b"new" * 5000 + str(free).encode())
        if new is None:
            assert "disk is full" in refusal
            assert "recsys refresh" in refusal
            assert lake.current("a") == old
            failed += 1
        else:
            assert lake.current("a") == new
            lake.restore("a", old.version)
            lake.gc(keep_last=0)
        ballast.unlink()
        assert is_whole(lake)
    assert 3 < failed < 40  # both outcomes were met


def test_a_limit_on_the_size_of_files_is_explained_too(lake: Lake, child: Callable[[Callable[[], object]], int]):
    old = lake.publish("a", big(b"old"), LINEAGE)

    def beyond_the_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(ArtifactError, match="disk is full"):
            lake.publish("a", big(bytes(10_000)), LINEAGE)

    assert child(beyond_the_limit) == 0
    assert lake.current("a") == old
    assert is_whole(lake)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "mkdir", "replace"])
def test_no_space_at_any_call_leaves_the_old_version_or_the_new(
    call: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.publish("a", big(b"0"), LINEAGE)
    real = getattr(os, call)
    for nth in range(1, 100):
        calls = 0

        def failing(*args: object, nth: int = nth, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls == nth:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **kwargs)

        before = lake.current("a")
        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            made, _ = attempt(lake, str(nth).encode())
        lake.sweep()  # where the failing call was one that removes the draft
        assert is_whole(lake)
        now = lake.current("a")
        assert now is not None
        assert now.version in {one.version for one in (before, made) if one} or now.made_at > before.made_at
        if calls < nth:
            return
    pytest.fail("the publication never ran to its end")


@pytest.mark.parametrize(
    "error",
    [
        OSError("No space left on device (os error 28)"),
        RuntimeError("underlying IO error: No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
    ],
)
def test_the_words_of_several_libraries_are_understood(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="disk is full"), disk_full_explained("a", tmp_path):
        raise error


def test_a_library_that_hides_the_reason_is_understood_by_a_look_at_the_disk(small_disk: Path) -> None:
    def fill_and_hide(folder: Path) -> None:
        with contextlib.suppress(OSError):
            (folder / "rows.bin").write_bytes(bytes(1_000_000))
        raise RuntimeError("Error: 'ret == size' failed")

    with pytest.raises(ArtifactError, match=r"disk is full.*'ret == size' failed"):
        Lake(small_disk).publish("a", fill_and_hide, LINEAGE)


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), disk_full_explained("a", tmp_path):
        raise PermissionError(errno.EACCES, "no")
    with pytest.raises(PermissionError), disk_full_explained("a", tmp_path / "nowhere"):
        raise PermissionError(errno.EACCES, "no")
