"""Garbage collection: choose old versions, and rename each away in one step, so that none is ever seen half removed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recsys_core.errors import ArtifactError
from recsys_core.lake import files
from recsys_core.lake.artifact_versions import ArtifactFolder, read_manifest, read_pointer, version_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """A version that was removed; `key` is its asset, or asset/partition."""

    key: str
    version: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GcReport:
    """The versions that a garbage collection removed."""

    freed: tuple[Freed, ...]

    @property
    def bytes(self) -> int:
        """The disk space that was freed, manifests included."""
        return sum(one.bytes for one in self.freed)


def oldest_first(artifact: ArtifactFolder) -> list[str]:
    """The versions of an artifact by the time at which they were first made; unreadable ones come first."""
    return sorted(version_names(artifact), key=lambda version: (_made_at(artifact, version), version))


def collect(artifact: ArtifactFolder, bin_folder: Path, keep_last: int, keep: Iterable[str]) -> list[Freed]:
    """Move the versions that are no longer needed into the bin, which the caller empties.

    Nothing is moved where the pointer is lost or damaged: it might be repaired to name any version.
    """
    try:
        pointer = read_pointer(artifact)
    except ArtifactError:
        return []
    versions = oldest_first(artifact)
    kept = {*keep, *versions[max(0, len(versions) - keep_last) :]}
    if pointer is not None and pointer.made is not None:
        kept.add(pointer.made.version)
    return [_discard(artifact, version, bin_folder) for version in versions if version not in kept]


def _discard(artifact: ArtifactFolder, version: str, bin_folder: Path) -> Freed:
    folder = artifact.folder / version
    size = sum(path.lstat().st_size for path in folder.rglob("*"))
    # Two artifacts may hold the same version, hence the number in front.
    files.move(folder, bin_folder / f"{len(list(bin_folder.iterdir()))}-{version}")
    files.sync(artifact.folder)
    return Freed(key=artifact.key, version=version, bytes=size)


def _made_at(artifact: ArtifactFolder, version: str) -> float:
    try:
        return read_manifest(artifact, version).made_at
    except ArtifactError:
        return float("-inf")
