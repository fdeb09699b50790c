"""The files of a data set in a folder or zip, opened so that a malicious archive can do no harm.

Members are streamed and never extracted, so a name such as `../x` has nowhere to go; such an archive is refused
nonetheless, since it was not made by GroupLens. What a file must hold is decided in `layouts` and below.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

from recsys_core.errors import DataError

MAX_FILE_BYTES = 4 << 30
"""The largest unpacked file that is read; ratings.csv of MovieLens 32M has 0.9 GB.

The caps of this package are no settings: they lie far above every GroupLens file, and only stop a hostile or broken
one from using up memory or disk.
"""

MAX_MEMBERS = 1_000
MAX_TOTAL_BYTES = 8 << 30
MAX_RATIO = 100
"""Text compresses about 5:1, a zip bomb above 1000:1."""
RATIO_FROM_BYTES = 1 << 20
"""Below this size a bomb is harmless, and a few equal lines may compress well."""

DAMAGE = (
    # zipfile meets a damaged header with any of these, depending on which bytes are hit.
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    ArithmeticError,
    LookupError,
)


class Files(Protocol):
    """The files of one data set, by their bare names."""

    @property
    def path(self) -> Path:
        """Path of the folder or zip."""

    def names(self) -> set[str]:
        """The bare names of all files."""

    def open(self, name: str) -> BinaryIO:
        """A stream of the file's bytes."""

    def packed_bytes(self, name: str) -> int:
        """Stored size of the file in bytes, which bounds its unpacked size."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The files that lie directly in a folder."""

    path: Path

    def names(self) -> set[str]:
        """The names of the files, those of folders left out."""
        return {entry.name for entry in self.path.iterdir() if entry.is_file()}

    def open(self, name: str) -> BinaryIO:
        """A stream of the file's bytes."""
        return (self.path / name).open("rb")

    def packed_bytes(self, name: str) -> int:
        """The file's size: it may be packed itself."""
        return (self.path / name).stat().st_size


@dataclass(frozen=True, kw_only=True)
class Archive:
    """The members of a zip at its top or in one top folder, as GroupLens packs them."""

    path: Path
    zipped: zipfile.ZipFile
    members: dict[str, list[zipfile.ZipInfo]] = field(default_factory=dict)

    def names(self) -> set[str]:
        """The members' bare names."""
        return set(self.members)

    def open(self, name: str) -> BinaryIO:
        """A stream of the member's bytes.

        Raises:
            DataError: two folders of the archive hold a file of that name.
        """
        found = self.members[name]
        if len(found) > 1:
            both = " and ".join(sorted(info.filename for info in found)[:2])
            raise _refused(self.path, f"holds {both}, and which one is meant is unclear")
        try:
            return cast("BinaryIO", self.zipped.open(found[0]))  # zipfile promises only IO[bytes]
        except DAMAGE as error:
            raise damaged(self.path, error) from error

    def packed_bytes(self, name: str) -> int:
        """The bytes that the member takes within the zip."""
        return self.members[name][0].compress_size


def is_bomb(n_bytes: int, packed_bytes: int) -> bool:
    """Whether the ratio of unpacked to packed bytes is too high for text."""
    return n_bytes > RATIO_FROM_BYTES and n_bytes > MAX_RATIO * packed_bytes


@contextmanager
def opened(path: Path) -> Iterator[Files]:
    """The files of a folder or zip, closed afterwards.

    Raises:
        DataError: there is nothing at `path`, or it is no zip, or a damaged or a hostile one.
    """
    if path.is_dir():
        yield Folder(path=path)
        return
    if not path.is_file():
        raise DataError(f"{path} does not exist: give the path of a MovieLens zip or of its unpacked folder")
    zipped = _open_zip(path)
    with zipped:
        _check_members(path, zipped.infolist())
        yield Archive(path=path, zipped=zipped, members=_by_bare_name(zipped.infolist()))


def damaged(path: Path, error: Exception) -> DataError:
    """The error for bytes that cannot be unpacked."""
    return DataError(f"{path.name} is damaged or cut short ({error}): delete it and fetch it again")


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except DAMAGE as error:
        raise DataError(
            f"{path.name} is not a whole zip archive ({error}): delete it and fetch it again, or give the path of an "
            f"unpacked folder"
        ) from error


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that GroupLens cannot have made, before any member is opened."""
    if len(members) > MAX_MEMBERS:
        raise _refused(path, f"has {len(members):,} members, above the {MAX_MEMBERS:,} allowed")
    names = [info.filename for info in members]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _refused(path, f"holds the member {twice!r} twice")
    for info in members:
        _check_member(path, info)
    total = sum(info.file_size for info in members)
    # Against the zip's own size too: overlapping members can share packed bytes, each with a modest ratio.
    if total > MAX_TOTAL_BYTES or is_bomb(total, path.stat().st_size):
        raise _refused(path, f"unpacks to {total:,} bytes, as a zip bomb does")


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.orig_filename  # as stored: zipfile cuts `filename` at a NUL
    if _leaves_folder(name):
        raise _refused(path, f"holds the unsafe name {name[:80]!r}")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise _refused(path, f"holds the symbolic link {name[:80]!r}")
    if info.flag_bits & 1:
        raise _refused(path, f"holds the encrypted member {name[:80]!r}")
    if info.file_size > MAX_FILE_BYTES:
        raise _refused(path, f"holds {name[:80]!r} of {info.file_size:,} bytes, above {MAX_FILE_BYTES:,}")
    if is_bomb(info.file_size, info.compress_size):
        raise _refused(path, f"holds {name[:80]!r}, packed more than {MAX_RATIO}:1, as a zip bomb is")


def _leaves_folder(name: str) -> bool:
    """Whether a name is absolute, climbs, or is made to look different on another system."""
    return name.startswith("/") or ".." in name.split("/") or any(mark in name for mark in ("\\", ":", "\0"))


def _by_bare_name(members: list[zipfile.ZipInfo]) -> dict[str, list[zipfile.ZipInfo]]:
    """Members at the top or one folder down, by bare name; macOS' `__MACOSX` shadows are left out."""
    found: dict[str, list[zipfile.ZipInfo]] = {}
    for info in members:
        parts = PurePosixPath(info.filename).parts
        if not info.is_dir() and len(parts) <= 2 and parts[0] != "__MACOSX":
            found.setdefault(parts[-1], []).append(info)
    return found


def _refused(path: Path, why: str) -> DataError:
    return DataError(f"{path.name} {why}: it is not a GroupLens archive; fetch the original again")
