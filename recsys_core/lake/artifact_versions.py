"""One artifact of the lake: all versions of one asset, or of one of its partitions, and the pointer to the current one.

This module reads and renames on the disk, step by step. `store` takes the locks.
"""

from dataclasses import dataclass
from pathlib import Path

from recsys_core.errors import ArtifactError
from recsys_core.lake import files
from recsys_core.lake.manifest import Making, Manifest, Pointer, sealed, unsealed, version_of
from recsys_core.lake.names import CURRENT, MANIFEST, checked_name, checked_version, is_version, key_of

_INDENT = 1  # for people who read manifests
REMEDY = "rebuild it with `recsys refresh`"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFolder:
    """The folder of an artifact's versions."""

    asset: str
    partition: str | None
    folder: Path

    @property
    def key(self) -> str:
        """The name for messages: asset, or asset/partition."""
        return key_of(self.asset, self.partition)


def artifact_folder(artifacts: Path, asset: str, partition: str | None = None) -> ArtifactFolder:
    """The folder of an artifact, whether or not it exists yet.

    Raises:
        ArtifactError: A name is not allowed, or a link on the way could lead out of the lake.
    """
    folder = artifacts / checked_name(asset)
    if partition is not None:
        folder /= checked_name(partition)
    for level in (folder, folder.parent):
        if level.is_symlink() and level != artifacts:
            raise ArtifactError(f"{level} is a link: replace it by the folder itself, the lake follows no links")
    return ArtifactFolder(asset=asset, partition=partition, folder=folder)


def version_names(artifact: ArtifactFolder) -> list[str]:
    """The stored versions, damaged ones included, sorted by name."""
    if not artifact.folder.is_dir():
        return []
    return sorted(path.name for path in artifact.folder.iterdir() if is_version(path.name))


def read_pointer(artifact: ArtifactFolder) -> Pointer | None:
    """The pointer, or None where nothing was ever published.

    Raises:
        ArtifactError: The pointer is damaged, or missing beside existing versions, which must not look like a new lake.
    """
    try:
        pointer = unsealed(files.read_plain(artifact.folder / CURRENT), Pointer)
    except NotADirectoryError:
        raise ArtifactError(f"{artifact.key}: there is a file in place of its folder: {REMEDY}") from None
    except FileNotFoundError:
        if version_names(artifact):
            raise ArtifactError(f"{artifact.key}: {CURRENT} is missing although there are versions: {REMEDY}") from None
        return None
    except (ArtifactError, OSError) as error:
        raise ArtifactError(f"{artifact.key}: {CURRENT} is damaged ({error}): {REMEDY}") from error
    if (pointer.asset, pointer.partition) != (artifact.asset, artifact.partition):
        raise ArtifactError(
            f"{artifact.key}: {CURRENT} belongs to {key_of(pointer.asset, pointer.partition)}: {REMEDY}"
        )
    return pointer


def read_manifest(artifact: ArtifactFolder, version: str) -> Manifest:
    """The manifest of a version after the cheap checks: its seal, and the names and sizes of the files.

    Raises:
        ArtifactError: The version does not exist or is damaged; the message names the file and the remedy.
    """
    folder = artifact.folder / checked_version(version)
    if not folder.is_dir() or folder.is_symlink():
        raise ArtifactError(f"{artifact.key}: version {version[:12]} is not in the lake: {REMEDY}")
    try:
        manifest = unsealed(files.read_plain(folder / MANIFEST), Manifest, _INDENT)
        _check_sizes(folder, manifest)
    except (ArtifactError, OSError) as error:
        raise _damaged(artifact, version, error) from error
    found = (manifest.asset, manifest.partition, manifest.version, version_of(manifest.files))
    if found != (artifact.asset, artifact.partition, version, version):
        raise _damaged(artifact, version, f"{MANIFEST} belongs to another version")
    return manifest


def verified_manifest(artifact: ArtifactFolder, version: str) -> Manifest:
    """The manifest of a version after every file was hashed against it.

    Raises:
        ArtifactError: As `read_manifest`, and where a byte of a file has changed.
    """
    manifest = read_manifest(artifact, version)
    for name, entry in manifest.files.items():
        try:
            found = files.entry_of(artifact.folder / version / name)
        except OSError as error:
            raise _damaged(artifact, version, error) from error
        if found != entry:
            raise _damaged(artifact, version, f"{name} has changed since it was published")
    return manifest


def current_manifest(artifact: ArtifactFolder) -> Manifest | None:
    """The current version with the lineage that the pointer carries; None only if nothing was ever published.

    Raises:
        ArtifactError: As `read_pointer` and `read_manifest`.
    """
    pointer = read_pointer(artifact)
    if pointer is None or pointer.made is None:
        return None
    made = pointer.made
    latest = {"lineage": made.lineage, "made_at": made.made_at, "duration_s": made.duration_s}
    return read_manifest(artifact, made.version).model_copy(update=latest)


def is_intact(artifact: ArtifactFolder, version: str) -> bool:
    """Whether a version is stored with every byte as published."""
    try:
        verified_manifest(artifact, version)
    except ArtifactError:
        return False
    return True


def place(artifact: ArtifactFolder, draft: Path, made: Manifest) -> None:
    """Move the sealed files of `draft/files` to the folder of their version.

    An existing version with the same content stays as it is, unless it is damaged. The manifest is written last, and
    the whole folder appears by one rename.
    """
    target = artifact.folder / made.version
    if is_intact(artifact, made.version):
        return
    files.write_durably(draft / "files" / MANIFEST, sealed(made, _INDENT))
    files.sync(draft / "files")
    if target.is_symlink() or target.exists():
        files.move(target, draft / "damaged")
    files.move(draft / "files", target)


def prepare_folder(artifact: ArtifactFolder, draft: Path) -> None:
    """Make the folder of a first publication, and a pointer that says "nothing yet".

    Without that pointer, a writer killed between placing the version and pointing to it would leave what looks like a
    lost pointer. Where versions already exist without a pointer, the loss must stay visible until it is repaired. A
    file in place of a folder, or a folder in place of the pointer, is moved into the draft and removed with it.
    """
    levels = [artifact.folder] if artifact.partition is None else [artifact.folder.parent, artifact.folder]
    for level in levels:
        if level.is_file():
            files.move(level, draft / "file-as-folder")
    files.make_folder_durably(artifact.folder)
    if (artifact.folder / CURRENT).is_dir():
        files.move(artifact.folder / CURRENT, draft / "folder-as-pointer")
        return
    if version_names(artifact) or (artifact.folder / CURRENT).exists():
        return
    nothing = Pointer(asset=artifact.asset, partition=artifact.partition, made=None)
    files.write_durably(draft / "nothing-yet", sealed(nothing))
    files.move(draft / "nothing-yet", artifact.folder / CURRENT)


def write_pointer(draft: Path, made: Manifest) -> None:
    """Write the new pointer into the draft; `swap_pointer` brings it into force."""
    making = Making(version=made.version, lineage=made.lineage, made_at=made.made_at, duration_s=made.duration_s)
    files.write_durably(draft / CURRENT, sealed(Pointer(asset=made.asset, partition=made.partition, made=making)))


def swap_pointer(artifact: ArtifactFolder, draft: Path) -> None:
    """Make the new version the current one, in one step."""
    files.move(draft / CURRENT, artifact.folder / CURRENT)


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    found = {name: (folder / name).lstat() for name in files.file_names(folder)}
    if found.keys() != manifest.files.keys():
        names = ", ".join(sorted(found.keys() ^ manifest.files.keys()))
        raise ArtifactError(f"the files differ from the manifest: {names}")
    for name, entry in manifest.files.items():
        if found[name].st_size != entry.bytes:
            raise ArtifactError(f"{name} has {found[name].st_size} bytes, not {entry.bytes}")


def _damaged(artifact: ArtifactFolder, version: str, why: object) -> ArtifactError:
    return ArtifactError(f"{artifact.key}: version {version[:12]} is damaged ({why}): {REMEDY}")
