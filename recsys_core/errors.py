"""Errors for users: each message says what was expected, what was found and how to fix it.

Any other exception that escapes is a bug, and keeps its traceback.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

REBUILD = "run `recsys refresh` to build it again; if nothing is out of date, delete this version's folder first"
"""Remedy for unreadable content. A refresh compares hashes, so it cannot detect content that was unreadable when it was
stored."""


class RecsysError(Exception):
    """A problem that the user can solve; the command line shows its message alone, without a traceback."""


class SettingsError(RecsysError):
    """A setting is unknown, out of its bounds, or contradicts another."""


class DataError(RecsysError):
    """External data (a data set, a log, a download) is invalid."""


class ArtifactError(RecsysError):
    """An artifact is missing, damaged, or inconsistent with another."""


class LogError(RecsysError):
    """The event log cannot be read or written: damaged, full, of a newer version, or unreachable."""


class UnknownUserError(RecsysError):
    """A request names an unknown user."""


class MachineError(RecsysError):
    """A failure of the machine: a full disk, a folder without write permission, too few file descriptors."""


_FULL = "free some space (`recsys gc` removes old versions of artifacts)"
_FORBIDDEN = "check the permissions, or choose another folder, such as another lake with --lake"
_IN_THE_WAY = (
    "there is a file where a folder is expected, or a folder where a file is: move it away, or choose another path"
)

_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _FORBIDDEN,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENAMETOOLONG: "choose a folder with a shorter path",
    errno.ELOOP: "a symbolic link leads back to itself: remove it",
    errno.EMFILE: "too many files are open: raise the limit with `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine: end some programs",
    errno.EIO: "the disk fails: check it",
    errno.ENOMEM: "memory is used up: end some programs",
    errno.EAGAIN: "the machine has no process or thread to spare: end some programs, or raise `ulimit -u`",
}
"""Remedies by errno, where the user can act. A missing file is not among them: users name none of these files, so that
it is a bug."""


def machine_error(error: OSError) -> MachineError | None:
    """A system error with its remedy; None where it may be a bug."""
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return None
    named = [
        os.fsdecode(one) for one in (error.filename, error.filename2) if isinstance(one, str | bytes | os.PathLike)
    ]
    where = f"{' and '.join(named)}: " if named else ""
    return MachineError(f"{where}{(error.strerror or str(error)).lower()}: {remedy}")


@contextmanager
def machine_errors_explained() -> Iterator[None]:
    """Turn a system error that the user can solve into a `MachineError`; others pass."""
    try:
        yield
    except OSError as error:
        explained = machine_error(error)
        if explained is None:
            raise
        raise explained from error
