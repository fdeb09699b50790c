"""Folders in which something is prepared, out of everybody's sight until it is renamed into its place.

A draft is locked as long as its writer lives. What is not locked was left by a dead writer, and `sweep` removes it.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys_core.lake import locks


@contextmanager
def draft(drafts: Path, label: str) -> Iterator[Path]:
    """An empty folder of one's own; removed with whatever is still in it when the block ends, also by an error."""
    drafts.mkdir(parents=True, exist_ok=True)
    folder, descriptor = _locked_folder(drafts, label)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what cannot be removed now is left for a sweep
        locks.release(descriptor)


def sweep(drafts: Path) -> list[str]:
    """Remove the drafts of dead writers; returns their names. Those of live writers are not touched."""
    swept = []
    found = sorted(drafts.iterdir()) if drafts.is_dir() else []
    for folder in (path for path in found if path.is_dir() and not path.is_symlink()):
        descriptor = locks.try_folder(folder)
        if descriptor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            locks.release(descriptor)
            swept.append(folder.name)
    return swept


def _locked_folder(drafts: Path, label: str) -> tuple[Path, int]:
    """A new folder and its lock; tries again when a sweep came between the two."""
    while True:
        folder = drafts / f"{label}-{os.urandom(8).hex()}"
        folder.mkdir()
        descriptor = locks.try_folder(folder)
        if descriptor is not None:
            return folder, descriptor
