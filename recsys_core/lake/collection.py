"""Which versions may go, and how they go: renamed away in one step, so that none is ever seen half removed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recsys_core.errors import ArtifactError
from recsys_core.lake import files
from recsys_core.lake.shelf import Shelf, read_manifest, read_pointer, version_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """A version that was removed; `key` is its asset, or asset/partition."""

    key: str
    version: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GcReport:
    """What a garbage collection removed."""

    freed: tuple[Freed, ...]

    @property
    def bytes(self) -> int:
        """The disk space that was freed, manifests included."""
        return sum(one.bytes for one in self.freed)


def oldest_first(shelf: Shelf) -> list[str]:
    """The versions of a shelf by the time at which they were first made; unreadable ones come first."""
    return sorted(version_names(shelf), key=lambda version: (_made_at(shelf, version), version))


def collect(shelf: Shelf, bin_folder: Path, keep_last: int, keep: Iterable[str]) -> list[Freed]:
    """Move the versions that may go into the bin, which the caller empties.

    Nothing goes where the pointer is lost or damaged: it could be mended to any of the versions.
    """
    try:
        pointer = read_pointer(shelf)
    except ArtifactError:
        return []
    versions = oldest_first(shelf)
    kept = {*keep, *versions[max(0, len(versions) - keep_last) :]}
    if pointer is not None and pointer.made is not None:
        kept.add(pointer.made.version)
    return [_discard(shelf, version, bin_folder) for version in versions if version not in kept]


def _discard(shelf: Shelf, version: str, bin_folder: Path) -> Freed:
    folder = shelf.folder / version
    size = sum(path.lstat().st_size for path in folder.rglob("*"))
    # Two shelves may hold the same version, hence the number in front.
    files.move(folder, bin_folder / f"{len(list(bin_folder.iterdir()))}-{version}")
    files.sync(shelf.folder)
    return Freed(key=shelf.key, version=version, bytes=size)


def _made_at(shelf: Shelf, version: str) -> float:
    try:
        return read_manifest(shelf, version).made_at
    except ArtifactError:
        return float("-inf")
