"""What several stages share: the tiny world run through once; a disk that fills up, a child that may be killed."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from recsys_core.data.splits import Splits, make_splits
from tests import tiny_world
from tests.core.worlds import QUICK_SPLITS, TinyRun, run_tiny_world


@pytest.fixture(scope="session")
def ratings() -> pl.DataFrame:
    """Of the tiny world."""
    return tiny_world.ratings()


@pytest.fixture(scope="session")
def splits(ratings: pl.DataFrame) -> Splits:
    """The tiny world as a short chain of windows."""
    return make_splits(ratings, QUICK_SPLITS)


@pytest.fixture(scope="session")
def tiny() -> TinyRun:
    """Read, do not change: every test sees the same one."""
    return run_tiny_world()


@pytest.fixture
def forked() -> Callable[[Callable[[], object]], int]:
    """Starts an action in a forked child and returns the child's id; its status is 0, 1 after an error, -9 if killed.

    A fork starts in a millisecond where a new interpreter takes a hundred, and hundreds of kills are wanted. The
    child leaves by _exit, so that nothing of pytest runs twice.
    """

    def start(action: Callable[[], object]) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                action()
                os._exit(0)
            finally:
                os._exit(1)  # reached after an error alone
        return pid

    return start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own; only root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
