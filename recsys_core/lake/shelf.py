"""One shelf of the lake: all versions of one asset, or of one of its partitions, and the pointer to the current one.

Here is what is read from and renamed on the disk, step by step. Who may do it when (locks) is `store`'s concern.
"""

from dataclasses import dataclass
from pathlib import Path

from recsys_core.errors import ArtifactError
from recsys_core.lake import files
from recsys_core.lake.manifest import Making, Manifest, Pointer, sealed, unsealed, version_of
from recsys_core.lake.names import CURRENT, MANIFEST, checked_name, checked_version, is_version, key_of

_INDENT = 1  # people read manifests
REMEDY = "rebuild it with `recsys refresh`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where the versions of an artifact stand."""

    asset: str
    partition: str | None
    folder: Path

    @property
    def key(self) -> str:
        """The name for messages: asset, or asset/partition."""
        return key_of(self.asset, self.partition)


def shelf_of(artifacts: Path, asset: str, partition: str | None = None) -> Shelf:
    """The shelf of an artifact, whether or not it exists yet.

    Raises:
        ArtifactError: A name is not allowed, or a link on the way could lead out of the lake.
    """
    folder = artifacts / checked_name(asset)
    if partition is not None:
        folder /= checked_name(partition)
    for level in (folder, folder.parent):
        if level.is_symlink() and level != artifacts:
            raise ArtifactError(f"{level} is a link: replace it by the folder itself, the lake follows no links")
    return Shelf(asset=asset, partition=partition, folder=folder)


def version_names(shelf: Shelf) -> list[str]:
    """The versions that stand on the shelf, damaged ones included, sorted by name."""
    if not shelf.folder.is_dir():
        return []
    return sorted(path.name for path in shelf.folder.iterdir() if is_version(path.name))


def read_pointer(shelf: Shelf) -> Pointer | None:
    """The pointer, or None where nothing was ever published.

    Raises:
        ArtifactError: The pointer is damaged, or gone while versions are there: that must not look like a new store.
    """
    try:
        pointer = unsealed(files.read_plain(shelf.folder / CURRENT), Pointer)
    except NotADirectoryError:
        raise ArtifactError(f"{shelf.key}: a file stands in the place of its folder: {REMEDY}") from None
    except FileNotFoundError:
        if version_names(shelf):
            raise ArtifactError(f"{shelf.key}: {CURRENT} is gone although versions are there: {REMEDY}") from None
        return None
    except (ArtifactError, OSError) as error:
        raise ArtifactError(f"{shelf.key}: {CURRENT} is damaged ({error}): {REMEDY}") from error
    if (pointer.asset, pointer.partition) != (shelf.asset, shelf.partition):
        raise ArtifactError(f"{shelf.key}: {CURRENT} belongs to {key_of(pointer.asset, pointer.partition)}: {REMEDY}")
    return pointer


def read_manifest(shelf: Shelf, version: str) -> Manifest:
    """The manifest of a version; what is cheap is checked: it is intact, and the files exist with their sizes.

    Raises:
        ArtifactError: The version is not there, or is damaged; names the file and says what to do.
    """
    folder = shelf.folder / checked_version(version)
    if not folder.is_dir() or folder.is_symlink():
        raise ArtifactError(f"{shelf.key}: version {version[:12]} is not in the lake: {REMEDY}")
    try:
        manifest = unsealed(files.read_plain(folder / MANIFEST), Manifest, _INDENT)
        _check_sizes(folder, manifest)
    except (ArtifactError, OSError) as error:
        raise _damaged(shelf, version, error) from error
    found = (manifest.asset, manifest.partition, manifest.version, version_of(manifest.files))
    if found != (shelf.asset, shelf.partition, version, version):
        raise _damaged(shelf, version, f"{MANIFEST} belongs to another version")
    return manifest


def verified_manifest(shelf: Shelf, version: str) -> Manifest:
    """The manifest of a version after every file was hashed against it.

    Raises:
        ArtifactError: As `read_manifest`, and where a byte of a file has changed.
    """
    manifest = read_manifest(shelf, version)
    for name, entry in manifest.files.items():
        try:
            found = files.entry_of(shelf.folder / version / name)
        except OSError as error:
            raise _damaged(shelf, version, error) from error
        if found != entry:
            raise _damaged(shelf, version, f"{name} has changed since it was published")
    return manifest


def current_manifest(shelf: Shelf) -> Manifest | None:
    """The version in force with the lineage that the pointer carries; None only if nothing was ever published.

    Raises:
        ArtifactError: As `read_pointer` and `read_manifest`.
    """
    pointer = read_pointer(shelf)
    if pointer is None or pointer.made is None:
        return None
    made = pointer.made
    latest = {"lineage": made.lineage, "made_at": made.made_at, "duration_s": made.duration_s}
    return read_manifest(shelf, made.version).model_copy(update=latest)


def is_intact(shelf: Shelf, version: str) -> bool:
    """Whether a version stands on the shelf with every byte as published."""
    try:
        verified_manifest(shelf, version)
    except ArtifactError:
        return False
    return True


def place(shelf: Shelf, draft: Path, made: Manifest) -> None:
    """Bring the files in `draft/files`, sealed already, to their place on the shelf.

    The same content may stand there: then it stays as it is, unless damaged. The manifest is written last of all
    files, and the whole folder appears by one rename.
    """
    target = shelf.folder / made.version
    if is_intact(shelf, made.version):
        return
    files.write_durably(draft / "files" / MANIFEST, sealed(made, _INDENT))
    files.sync(draft / "files")
    if target.is_symlink() or target.exists():
        files.move(target, draft / "damaged")
    files.move(draft / "files", target)


def prepare_shelf(shelf: Shelf, draft: Path) -> None:
    """Make the folder of a first publication, and a pointer that says "nothing yet".

    Without it, a writer killed between placing the version and pointing to it would leave what looks like a lost
    pointer. Where versions stand without a pointer already, that loss must keep showing until it is mended. A file in
    the place of a folder, or a folder in that of the pointer, goes away with the draft.
    """
    levels = [shelf.folder] if shelf.partition is None else [shelf.folder.parent, shelf.folder]
    for level in levels:
        if level.is_file():
            files.move(level, draft / "file-as-folder")
    files.make_folder_durably(shelf.folder)
    if (shelf.folder / CURRENT).is_dir():
        files.move(shelf.folder / CURRENT, draft / "folder-as-pointer")
        return
    if version_names(shelf) or (shelf.folder / CURRENT).exists():
        return
    nothing = Pointer(asset=shelf.asset, partition=shelf.partition, made=None)
    files.write_durably(draft / "nothing-yet", sealed(nothing))
    files.move(draft / "nothing-yet", shelf.folder / CURRENT)


def write_pointer(draft: Path, made: Manifest) -> None:
    """Write the new pointer into the draft; `swap_pointer` brings it into force."""
    making = Making(version=made.version, lineage=made.lineage, made_at=made.made_at, duration_s=made.duration_s)
    files.write_durably(draft / CURRENT, sealed(Pointer(asset=made.asset, partition=made.partition, made=making)))


def swap_pointer(shelf: Shelf, draft: Path) -> None:
    """The instant at which the new version becomes the current one."""
    files.move(draft / CURRENT, shelf.folder / CURRENT)


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    found = {name: (folder / name).lstat() for name in files.file_names(folder)}
    if found.keys() != manifest.files.keys():
        names = ", ".join(sorted(found.keys() ^ manifest.files.keys()))
        raise ArtifactError(f"the files differ from the manifest: {names}")
    for name, entry in manifest.files.items():
        if found[name].st_size != entry.bytes:
            raise ArtifactError(f"{name} has {found[name].st_size} bytes, not {entry.bytes}")


def _damaged(shelf: Shelf, version: str, why: object) -> ArtifactError:
    return ArtifactError(f"{shelf.key}: version {version[:12]} is damaged ({why}): {REMEDY}")
