"""File locks between processes and threads of one machine.

A lock belongs to an open file, so the kernel drops it when its holder dies, however that happens: no lock is ever
stale. Lock files are never removed, because a process that waits on a removed file would lock nothing. flock does not
work across a network file system; one lake belongs to one machine.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


def shared(path: Path) -> AbstractContextManager[None]:
    """Hold the lock together with other sharers; waits while it is held exclusively."""
    return _locked(path, fcntl.LOCK_SH)


def exclusive(path: Path) -> AbstractContextManager[None]:
    """Hold the lock alone; waits for all other holders. Not re-entrant: a thread that takes it twice deadlocks."""
    return _locked(path, fcntl.LOCK_EX)


def try_folder(folder: Path) -> int | None:
    """Lock a folder itself without waiting: a descriptor for `release`, or None where it is held or missing."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, a sweep may have removed the folder: the lock then guards nothing.
        if os.fstat(descriptor).st_nlink and os.path.samestat(os.fstat(descriptor), folder.lstat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def release(descriptor: int) -> None:
    """Unlock and close. Closing alone is not enough where a forked child still holds a copy of the descriptor."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


@contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Read-only suffices for flock, and lets a reader share a lake that it may not write.
    # O_NONBLOCK, because opening a FIFO would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK, 0o644)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    try:
        yield
    finally:
        release(descriptor)
