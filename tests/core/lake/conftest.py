"""What the tests of the lake share: a lake, writers of small artifacts, and children that may be killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.lake import Lake, Lineage

Write = Callable[[Path], None]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def lineage() -> Lineage:
    return Lineage(code_version="c1", inputs={"ratings": "v1"}, facts={"fit_end": 880000000})


@pytest.fixture
def text() -> Callable[[str], Write]:
    """Makes writers of an artifact with two files, one of them in a folder, that both hold the text."""

    def make(content: str) -> Write:
        def write(folder: Path) -> None:
            (folder / "rows.txt").write_text(content)
            (folder / "parts").mkdir()
            (folder / "parts" / "0.bin").write_bytes(content.encode()[::-1])

        return write

    return make


@pytest.fixture
def child(forked: Callable[[Callable[[], object]], int]) -> Callable[[Callable[[], object]], int]:
    """Runs an action in a forked child and returns its status."""
    return lambda action: os.waitstatus_to_exitcode(os.waitpid(forked(action), 0)[1])


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets fsync do nothing, for tests that publish hundreds of times on a disk that is busy.

    A killed process leaves the kernel's buffers as they are; only a power cut asks for fsync, and `test_files` proves
    where it is called.
    """
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def die_at() -> Callable[[int], None]:
    """Arms this process, a child, to kill itself at the n-th step that a file system sees.

    Odd numbers kill before the call, even ones after it; what is between two calls no disk can tell apart.
    """

    def arm(n: int) -> None:
        steps = 0

        def mined(call: Callable[..., object]) -> Callable[..., object]:
            def step(*args: object, **kwargs: object) -> object:
                nonlocal steps
                steps += 1
                if steps == n:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = call(*args, **kwargs)
                steps += 1
                if steps == n:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            return step

        for name in ("open", "write", "fsync", "mkdir", "chmod", "rename", "replace", "unlink", "rmdir"):
            setattr(os, name, mined(getattr(os, name)))

    return arm
