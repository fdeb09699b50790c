"""A full disk, told in words that help."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys_core.errors import ArtifactError, RecsysError

# EFBIG: the file outgrew what the process may write, which users meet as a limit (ulimit -f) and mend the same way.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TEXTS = (os.strerror(errno.ENOSPC), *(f"os error {number}" for number in _FULL))
_AS_GOOD_AS_FULL = 1 << 20  # bytes


@contextmanager
def disk_full_explained(key: str, folder: Path) -> Iterator[None]:
    """Turn a failure for want of space into an ArtifactError that says what to do; other errors pass.

    Writers of models and tables hide the reason: polars and safetensors have it in the text only, FAISS, XGBoost and
    numpy say no more than that a write came short. Hence the look at the disk, before the draft is removed.
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
    return disk.f_bavail * disk.f_frsize < _AS_GOOD_AS_FULL
