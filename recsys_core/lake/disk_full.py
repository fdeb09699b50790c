"""A full disk, told in words that help."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from recsys_core.errors import ArtifactError

# EFBIG: the file outgrew what the process may write, which users meet as a limit (ulimit -f) and mend the same way.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def disk_full_explained(key: str) -> Iterator[None]:
    """Turn "no space left" into an ArtifactError that says what to do; other errors pass."""
    try:
        yield
    except OSError as error:
        if not _means_full(error):
            raise
        raise ArtifactError(
            f"the disk is full, {key} was not stored and the lake is as before: free some space (`recsys gc` removes "
            "old versions), then run `recsys refresh`"
        ) from error


def _means_full(error: OSError) -> bool:
    """Libraries written in Rust raise OSError without errno and with the number in the text."""
    return error.errno in _FULL or any(f"os error {number}" in str(error) for number in _FULL)
