"""The lake: immutable artifacts named by their content, and for each a pointer to the version in force.

    <root>/artifacts/<asset>[/<partition>]/<version>/  files and manifest.json; never modified
    <root>/artifacts/<asset>[/<partition>]/CURRENT     one line, replaced in one step
    <root>/drafts/                                     unpublished files; readers ignore them
    <root>/locks/                                      empty files to lock

A writer may be killed at any instant: readers then see the old version or the new one, whole. This module is the
interface and takes the locks; the steps on the disk are in `artifact_versions`.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from recsys_core.errors import ArtifactError
from recsys_core.lake import artifact_versions, drafts, files, locks
from recsys_core.lake.artifact_versions import ArtifactFolder, artifact_folder
from recsys_core.lake.drafts import disk_full_explained
from recsys_core.lake.garbage_collection import GcReport, collect, oldest_first
from recsys_core.lake.manifest import Lineage, Manifest, version_of
from recsys_core.lake.names import is_name, is_version, split_key


class Lake:
    """A folder of artifacts.

    Locks are always taken in this order: first `lake`, which readers share with writers that bring a version into
    force, and which `gc` holds alone; then one per asset, around the swap of a pointer. The callback that writes the
    files runs before any lock is taken, so that a long training blocks no other process.
    """

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Create nothing before the first use. The clock dates manifests and orders versions."""
        self.root = root
        self._artifacts = root / "artifacts"
        self._drafts = root / "drafts"
        self._clock = clock

    def publish(
        self, asset: str, write: Callable[[Path], None], lineage: Lineage, *, partition: str | None = None
    ) -> Manifest:
        """Store the files that `write` puts into the empty folder it is given, and make them the current version.

        Content that the lake already holds is not stored again; its first manifest stays, and the pointer carries
        the new lineage. When anything fails, the lake is as before.

        Returns:
            The manifest with this lineage, as `current` gives it from now on.

        Raises:
            ArtifactError: A name is not allowed, there are no files or a file is not plain, or the disk is full.
                Other exceptions of `write` pass through.
        """
        artifact = self._folder(asset, partition)
        with self._draft(artifact) as draft:
            made = self._fill(artifact, draft, write, lineage)
            artifact_versions.write_pointer(draft, made)  # before anything is visible, so that a full disk shows first
            with self.reading(), self._pointer_lock(asset):
                artifact_versions.prepare_folder(artifact, draft)
                artifact_versions.place(artifact, draft, made)
                artifact_versions.swap_pointer(artifact, draft)
        return made

    def current(self, asset: str, partition: str | None = None) -> Manifest | None:
        """The current version with its latest lineage; None only if nothing was ever published.

        Checks the pointer, the manifest, and each file's size; `open` and `verify` hash the files as well.

        Raises:
            ArtifactError: Pointer or version is damaged, or the pointer is gone beside existing versions.
        """
        with self.reading():
            return artifact_versions.current_manifest(self._folder(asset, partition))

    def open(self, asset: str, partition: str | None = None, version: str | None = None) -> Path:
        """The folder of a version, the current one by default, after all its files were hashed.

        A reader of an old version that may run beside `gc` should do so within `reading`.

        Raises:
            ArtifactError: There is no such version, or it is damaged.
        """
        artifact = self._folder(asset, partition)
        return artifact.folder / self.verify(asset, partition, version).version

    def verify(self, asset: str, partition: str | None = None, version: str | None = None) -> Manifest:
        """The manifest of a version, the current one by default, after all its files were hashed.

        Raises:
            ArtifactError: There is no such version, or it is damaged.
        """
        artifact = self._folder(asset, partition)
        with self.reading():
            if version is not None:
                return artifact_versions.verified_manifest(artifact, version)
            now = artifact_versions.current_manifest(artifact)
            if now is None:
                raise ArtifactError(self._never_published(artifact.key))
            artifact_versions.verified_manifest(artifact, now.version)
            return now

    def restore(self, asset: str, version: str, *, partition: str | None = None) -> Manifest:
        """Make an older version the current one again, with the lineage that it was first stored with.

        Raises:
            ArtifactError: There is no such version, or it is damaged.
        """
        artifact = self._folder(asset, partition)
        with self._draft(artifact) as draft, self.reading():
            made = artifact_versions.verified_manifest(artifact, version)
            artifact_versions.write_pointer(draft, made)
            with self._pointer_lock(asset):
                artifact_versions.swap_pointer(artifact, draft)
        return made

    def versions(self, asset: str, partition: str | None = None) -> list[str]:
        """The stored versions, oldest first; those whose manifest cannot be read come before all others."""
        with self.reading():
            return oldest_first(self._folder(asset, partition))

    def partitions(self, asset: str) -> list[str]:
        """The partitions that were ever published, damaged ones included, sorted."""
        names = _folder_names(self._folder(asset).folder)
        return [name for name in names if self._was_published(asset, name)]

    def assets(self) -> list[str]:
        """The assets that were ever published, whole or in partitions, damaged ones included, sorted."""
        names = _folder_names(self._artifacts)
        return [name for name in names if self._was_published(name) or self.partitions(name)]

    def survey(self, keys: Iterable[str], *, deep: bool = False) -> dict[str, Manifest | ArtifactError | None]:
        """The state of each artifact ("asset" or "asset/partition"), for `staleness.plan`.

        Damage is returned, not raised, because the caller plans its repair. `deep` also hashes all files.
        """
        return {key: self._state(*split_key(key), deep=deep) for key in keys}

    def gc(self, keep_last: int, keep: Collection[str] = ()) -> GcReport:
        """Remove the versions that are no longer needed.

        Kept of each artifact: the version that CURRENT names, the `keep_last` youngest, every version in `keep`, and
        all versions where CURRENT cannot be read. Waits until there is no reader and no publication.
        """
        if keep_last < 0:
            raise ArtifactError(f"keep_last is {keep_last}: expected 0 or more")
        if not self._artifacts.is_dir():
            return GcReport(freed=())
        with drafts.draft(self._drafts, "gc") as draft:
            with locks.exclusive(self._lake_lock):
                freed = [one for artifact in self._folders() for one in collect(artifact, draft, keep_last, set(keep))]
            return GcReport(freed=tuple(freed))

    def sweep(self) -> list[str]:
        """Remove the drafts of dead writers and return their names. Drafts of live writers are not touched."""
        return drafts.sweep(self._drafts)

    def reading(self) -> AbstractContextManager[None]:
        """Keep `gc` out while the block runs. Calling `gc` inside it would deadlock."""
        if not self.root.is_dir():
            return nullcontext()  # nothing to guard: a lock file would create a lake under a misspelt name
        return locks.shared(self._lake_lock)

    @property
    def _lake_lock(self) -> Path:
        return self.root / "locks" / "lake@"  # no name contains @, so it is no asset's lock

    def _pointer_lock(self, asset: str) -> AbstractContextManager[None]:
        return locks.exclusive(self.root / "locks" / asset)

    @contextmanager
    def _draft(self, artifact: ArtifactFolder) -> Iterator[Path]:
        """A draft for the artifact; a full disk is explained while the draft is made and while it is filled."""
        with (
            disk_full_explained(artifact.key, self.root),
            drafts.draft(self._drafts, artifact.asset) as draft,
            disk_full_explained(artifact.key, draft),
        ):
            yield draft

    def _fill(self, artifact: ArtifactFolder, draft: Path, write: Callable[[Path], None], lineage: Lineage) -> Manifest:
        """Let the caller write, then seal what was written."""
        started, at = time.perf_counter(), self._clock()
        (draft / "files").mkdir()
        write(draft / "files")
        duration = time.perf_counter() - started
        entries = files.seal_files(draft / "files")
        return Manifest(
            asset=artifact.asset,
            partition=artifact.partition,
            version=version_of(entries),
            files=entries,
            lineage=lineage,
            made_at=at,
            duration_s=duration,
        )

    def _state(self, asset: str, partition: str | None, *, deep: bool) -> Manifest | ArtifactError | None:
        try:
            now = self.current(asset, partition)
            return now if now is None or not deep else self.verify(asset, partition)
        except ArtifactError as error:
            return error

    def _never_published(self, key: str) -> str:
        if self._artifacts.is_dir():
            return f"{key} was never published: make it with `recsys refresh`"
        return (
            f"nothing was built in {self.root} yet: build it with `recsys refresh`, or choose another lake with --lake"
        )

    def _was_published(self, asset: str, partition: str | None = None) -> bool:
        try:
            pointer = artifact_versions.read_pointer(self._folder(asset, partition))
        except ArtifactError:
            return True  # there is something, though damaged; reading it raises
        return pointer is not None and pointer.made is not None

    def _folder(self, asset: str, partition: str | None = None) -> ArtifactFolder:
        return artifact_folder(self._artifacts, asset, partition)

    def _folders(self) -> Iterator[ArtifactFolder]:
        for asset in _folder_names(self._artifacts):
            whole = self._folder(asset)
            yield whole
            for partition in _folder_names(whole.folder):
                yield self._folder(asset, partition)


def _folder_names(folder: Path) -> list[str]:
    """The sub-folders that can be assets or partitions, sorted."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    return sorted(path.name for path in found if is_name(path.name) and not is_version(path.name))
