"""Drafts: folders in which artifacts are prepared, invisible to readers until they are renamed into place.

A draft is locked as long as its writer lives. An unlocked draft was left by a dead writer, and `sweep` removes it. A
disk that fills up meanwhile is reported with its remedy.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys_core.errors import ArtifactError, RecsysError
from recsys_core.lake import locks


@contextmanager
def draft(drafts: Path, label: str) -> Iterator[Path]:
    """A new empty folder, removed with its remaining content when the block ends, also after an error."""
    drafts.mkdir(parents=True, exist_ok=True)
    folder, descriptor = _locked_folder(drafts, label)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a sweep removes what cannot be removed now
        locks.release(descriptor)


def sweep(drafts: Path) -> list[str]:
    """Remove the drafts of dead writers and return their names. Drafts of live writers are not touched."""
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
    """A new folder and its lock; retries when a sweep came between the two."""
    while True:
        folder = drafts / f"{label}-{os.urandom(8).hex()}"
        folder.mkdir()
        descriptor = locks.try_folder(folder)
        if descriptor is not None:
            return folder, descriptor


# EFBIG: the file exceeds the size limit of the process (ulimit -f), which has the same remedy.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TEXTS = (os.strerror(errno.ENOSPC), *(f"os error {number}" for number in _FULL))
_FULL_BELOW = 1 << 20  # free bytes


@contextmanager
def disk_full_explained(key: str, folder: Path) -> Iterator[None]:
    """Turn a failure caused by a full disk into an ArtifactError with its remedy; other errors pass.

    Writers of models and tables hide the cause: polars and safetensors have it in the text only; FAISS, XGBoost and
    numpy only report a short write. Hence the check of the free space, before the draft is removed.
    """
    try:
        yield
    except RecsysError:
        raise
    except Exception as error:
        if not (_says_full(error) or _is_full(folder)):
            raise
        raise ArtifactError(
            f"the disk is full, {key} was not stored and the lake is as before: free some space (`recsys gc` removes "
            f"old versions), then run `recsys refresh` ({type(error).__name__}: {error})"
        ) from error


def _says_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(text in str(error) for text in _TEXTS)


def _is_full(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _FULL_BELOW
