"""Files and folders that survive a crash: write durably, list strictly, hash.

A rename is atomic but not durable: after a power cut the new name may exist while its bytes are lost. Hence the order
everywhere: sync the files, sync their folder, rename, sync the parent.
"""

import hashlib
import os
import stat
from pathlib import Path

from recsys_core.errors import ArtifactError
from recsys_core.lake.manifest import FileEntry
from recsys_core.lake.names import MANIFEST, is_name

_DEEPEST = 2  # levels of names below a version: a file, or a folder with files


def write_durably(path: Path, content: bytes) -> None:
    """Create a new file whose bytes are on the disk when this returns.

    Raises:
        FileExistsError: The file exists; no file of the lake is written twice.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        rest = memoryview(content)
        while rest:  # a write may be short, as on a disk that is nearly full
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Put a file's bytes, or a folder's entries, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder_durably(folder: Path) -> None:
    """Create a folder and its missing parents so that they survive a power cut."""
    missing = [level for level in (folder, *folder.parents) if not level.is_dir()]
    for level in reversed(missing):
        level.mkdir(exist_ok=True)  # another writer may have been faster
        sync(level.parent)


def move(source: Path, target: Path) -> None:
    """Rename within the lake, durably. A file replaces the target; for a folder, the target must not exist."""
    source.replace(target)
    sync(target.parent)


def seal_files(folder: Path) -> dict[str, FileEntry]:
    """Hash a draft's files, make them read-only and put them and their folders on the disk.

    Raises:
        ArtifactError: See `file_names`, or the draft holds no file.
    """
    entries = {}
    for name in file_names(folder):
        # A reminder rather than a guard: opening a published file for writing by mistake fails at once.
        (folder / name).chmod(0o444)
        entries[name] = entry_of(folder / name)
        sync(folder / name)
    if not entries:
        raise ArtifactError("nothing was written: an artifact needs at least one file")
    for level in sorted({(folder / name).parent for name in entries} - {folder}):
        sync(level)
    return entries


def file_names(folder: Path) -> list[str]:
    """All files below a folder except the manifest, sorted, relative to the folder.

    Raises:
        ArtifactError: There is a link or a special file, a name that the lake does not allow, or more than one nested
            level. A link could lead out of the lake, or let published bytes be changed from outside.
    """
    names = []
    for path in _entries(folder):
        name = path.relative_to(folder).as_posix()
        if name == MANIFEST:
            continue
        if not all(is_name(part) for part in name.split("/")):
            raise ArtifactError(f"{name!r} is no file name for the lake: use A-Z a-z 0-9 _ . = - and no leading _ . -")
        names.append(name)
    return sorted(names)


def _entries(folder: Path, level: int = 1) -> list[Path]:
    found = []
    for path in folder.iterdir():
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode) and level < _DEEPEST:
            found += _entries(path, level + 1)
        elif stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            found.append(path)
        else:
            raise ArtifactError(f"{path.name} is a link, a special file or nested too deep: use plain files")
    return found


def read_plain(path: Path) -> bytes:
    """The content of a plain file. A link could lead out of the lake; a FIFO would wait forever for a writer.

    Raises:
        ArtifactError: the path is a link or a special file.
        OSError: there is no such file, or it can't be read.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ArtifactError(f"{path.name} is a link, a folder or a special file, not a plain file")
    return path.read_bytes()


def entry_of(path: Path) -> FileEntry:
    """Size and sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(sha256=digest, bytes=file.tell())
