"""The lake: immutable artifacts named by their content, and for each a pointer to the version in force.

    <root>/artifacts/<asset>[/<partition>]/<version>/  files and manifest.json; never modified
    <root>/artifacts/<asset>[/<partition>]/CURRENT     one line, replaced in one step
    <root>/drafts/                                     what is being written; of no meaning to readers
    <root>/locks/                                      empty files to lock

A writer may be killed at any instant: readers then see the old version or the new one, whole. This module says what
callers can do and which locks they hold meanwhile; the steps themselves are in `shelf`.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from recsys_core.errors import ArtifactError
from recsys_core.lake import collection, drafts, files, locks, shelf
from recsys_core.lake.disk_full import disk_full_explained
from recsys_core.lake.manifest import Lineage, Manifest, version_of
from recsys_core.lake.names import is_name, is_version, split_key
from recsys_core.lake.shelf import Shelf


class Lake:
    """A folder of artifacts.

    Locks, always taken in this order: `lake`, shared by readers and by writers while they bring a version into force,
    held alone by `gc`; then one per asset, around the swap of a pointer. The callback that writes the files runs
    before any of them, so that a long training blocks nobody.
    """

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Nothing is created before the first use; the clock dates manifests and orders versions."""
        self.root = root
        self._artifacts = root / "artifacts"
        self._drafts = root / "drafts"
        self._clock = clock

    def publish(
        self, asset: str, write: Callable[[Path], None], lineage: Lineage, *, partition: str | None = None
    ) -> Manifest:
        """Store what `write` puts into the empty folder that it is given, and make it the current version.

        Content that the lake holds already is not stored again; its first manifest stays, and the pointer carries
        the new lineage. When anything fails, the lake is as before.

        Returns:
            The manifest with this lineage, as `current` gives it from now on.

        Raises:
            ArtifactError: A name is not allowed, the files are none or not plain, or the disk is full. What `write`
                raises otherwise passes through.
        """
        target = shelf.shelf_of(self._artifacts, asset, partition)
        with self._draft(target) as draft:
            made = self._fill(target, draft, write, lineage)
            shelf.write_pointer(draft, made)  # before anything shows, so that a full disk is noticed first
            with self.reading(), self._pointer_lock(asset):
                shelf.prepare_shelf(target, draft)
                shelf.place(target, draft, made)
                shelf.swap_pointer(target, draft)
        return made

    def current(self, asset: str, partition: str | None = None) -> Manifest | None:
        """The version in force with its latest lineage; None only if nothing was ever published.

        Checks the pointer, the manifest, and each file's size; `open` and `verify` hash the files as well.

        Raises:
            ArtifactError: Pointer or version is damaged, or the pointer is gone beside existing versions.
        """
        with self.reading():
            return shelf.current_manifest(shelf.shelf_of(self._artifacts, asset, partition))

    def open(self, asset: str, partition: str | None = None, version: str | None = None) -> Path:
        """The folder of a version, the current one by default, after all its files were hashed.

        A reader that may run beside `gc` and reads no current version should do so within `reading`.

        Raises:
            ArtifactError: There is no such version, or it is damaged.
        """
        place = shelf.shelf_of(self._artifacts, asset, partition)
        return place.folder / self.verify(asset, partition, version).version

    def verify(self, asset: str, partition: str | None = None, version: str | None = None) -> Manifest:
        """The manifest of a version, the current one by default, after all its files were hashed.

        Raises:
            ArtifactError: There is no such version, or it is damaged.
        """
        place = shelf.shelf_of(self._artifacts, asset, partition)
        with self.reading():
            if version is not None:
                return shelf.verified_manifest(place, version)
            now = shelf.current_manifest(place)
            if now is None:
                raise ArtifactError(self._never_published(place.key))
            shelf.verified_manifest(place, now.version)
            return now

    def restore(self, asset: str, version: str, *, partition: str | None = None) -> Manifest:
        """Make an older version the current one again, with the lineage that it was first stored with.

        Raises:
            ArtifactError: There is no such version, or it is damaged.
        """
        place = shelf.shelf_of(self._artifacts, asset, partition)
        with self._draft(place) as draft, self.reading():
            made = shelf.verified_manifest(place, version)
            shelf.write_pointer(draft, made)
            with self._pointer_lock(asset):
                shelf.swap_pointer(place, draft)
        return made

    def versions(self, asset: str, partition: str | None = None) -> list[str]:
        """The stored versions, oldest first; those whose manifest cannot be read come before all others."""
        with self.reading():
            return collection.oldest_first(shelf.shelf_of(self._artifacts, asset, partition))

    def partitions(self, asset: str) -> list[str]:
        """The partitions that were ever published, damaged ones included, sorted."""
        names = _folder_names(shelf.shelf_of(self._artifacts, asset).folder)
        return [name for name in names if self._was_published(asset, name)]

    def assets(self) -> list[str]:
        """The assets that were ever published, whole or in partitions, damaged ones included, sorted."""
        names = _folder_names(self._artifacts)
        return [name for name in names if self._was_published(name) or self.partitions(name)]

    def survey(self, keys: Iterable[str], *, deep: bool = False) -> dict[str, Manifest | ArtifactError | None]:
        """How each artifact ("asset" or "asset/partition") stands, for `staleness.plan`.

        Damage is returned, not raised, since a plan to mend it is what the caller wants. Deep also hashes all files.
        """
        return {key: self._standing(*split_key(key), deep=deep) for key in keys}

    def gc(self, keep_last: int, keep: Collection[str] = ()) -> collection.GcReport:
        """Remove the versions that nobody needs.

        Kept on each shelf: what CURRENT names, the `keep_last` youngest, every version in `keep`, and everything
        where CURRENT cannot be read. Waits until nobody reads or publishes.
        """
        if keep_last < 0:
            raise ArtifactError(f"keep_last is {keep_last}: expected 0 or more")
        if not self._artifacts.is_dir():
            return collection.GcReport(freed=())
        with drafts.draft(self._drafts, "gc") as draft:
            with locks.exclusive(self._lake_lock):
                freed = [
                    one for place in self._shelves() for one in collection.collect(place, draft, keep_last, set(keep))
                ]
            return collection.GcReport(freed=tuple(freed))

    def sweep(self) -> list[str]:
        """Remove what dead writers left behind; returns the names. Drafts of live writers are not touched."""
        return drafts.sweep(self._drafts)

    def reading(self) -> AbstractContextManager[None]:
        """Keep `gc` out while the block runs; never call `gc` within it, which would wait for itself."""
        if not self.root.is_dir():
            return nullcontext()  # nothing to guard: a lock would make a lake out of a misspelt name
        return locks.shared(self._lake_lock)

    @property
    def _lake_lock(self) -> Path:
        return self.root / "locks" / "lake@"  # no name contains @, so no asset's lock is meant

    def _pointer_lock(self, asset: str) -> AbstractContextManager[None]:
        return locks.exclusive(self.root / "locks" / asset)

    @contextmanager
    def _draft(self, target: Shelf) -> Iterator[Path]:
        """A draft for the shelf; a full disk is explained when making it fails, and while its files still fill it."""
        with (
            disk_full_explained(target.key, self.root),
            drafts.draft(self._drafts, target.asset) as draft,
            disk_full_explained(target.key, draft),
        ):
            yield draft

    def _fill(self, target: Shelf, draft: Path, write: Callable[[Path], None], lineage: Lineage) -> Manifest:
        """Let the caller write, then seal what was written."""
        started, at = time.perf_counter(), self._clock()
        (draft / "files").mkdir()
        write(draft / "files")
        duration = time.perf_counter() - started
        entries = files.seal_files(draft / "files")
        return Manifest(
            asset=target.asset,
            partition=target.partition,
            version=version_of(entries),
            files=entries,
            lineage=lineage,
            made_at=at,
            duration_s=duration,
        )

    def _standing(self, asset: str, partition: str | None, *, deep: bool) -> Manifest | ArtifactError | None:
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
            pointer = shelf.read_pointer(shelf.shelf_of(self._artifacts, asset, partition))
        except ArtifactError:
            return True  # there is something, though not in order; whoever reads it is told
        return pointer is not None and pointer.made is not None

    def _shelves(self) -> Iterator[Shelf]:
        for asset in _folder_names(self._artifacts):
            whole = shelf.shelf_of(self._artifacts, asset)
            yield whole
            for partition in _folder_names(whole.folder):
                yield shelf.shelf_of(self._artifacts, asset, partition)


def _folder_names(folder: Path) -> list[str]:
    """The sub-folders that can be assets or partitions, sorted."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    return sorted(path.name for path in found if is_name(path.name) and not is_version(path.name))
