"""The known MovieLens data sets, their local copies, and the verification of a copy.

Digests are checked here, before anything opens a file. To download is the business of `fetch`, to read that of
`reading`.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recsys_core.errors import DataError

GROUPLENS = "https://files.grouplens.org/datasets/movielens"
EMBEDDED = "ml-latest-small-2016"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A known data set: its zip's address and digests.

    GroupLens publishes MD5 alone, and for ml-latest-small, which changes over time, not even that. So the SHA-256 of
    the first copy is recorded beside it (trust on first use), and a later copy that differs is refused. MD5 guards
    against accidents here, not against an attacker, for whom https and that record are in the way.
    """

    name: str
    url: str = ""  # "" for the data set that comes with this project
    md5: str = ""  # "" where GroupLens publishes none
    sha256: str = ""  # "" where the first copy is trusted

    @property
    def file(self) -> str:
        """The zip's file name in the folder of raw data."""
        return f"{self.name}.zip"


def _grouplens(name: str, md5: str = "") -> Source:
    return Source(name=name, url=f"{GROUPLENS}/{name}.zip", md5=md5)


SOURCES = {
    source.name: source
    for source in (
        Source(name=EMBEDDED, sha256="f66b264835bbb901a15f69c72d7375c327774a952f466ad522e8e51e99d71ed6"),
        _grouplens("ml-100k", "0e33842e24a9c977be4e0107933c0723"),
        _grouplens("ml-1m", "c4d9eecfca2ab87c1945afe126590906"),
        _grouplens("ml-10m", "ce571fd55effeba0271552578f2648bd"),
        _grouplens("ml-20m", "cd245b17a1ae2cc31bb14903e1204af3"),
        _grouplens("ml-25m", "6b51fb2759a8657d3bfcbfc42b592ada"),
        _grouplens("ml-32m", "d472be332d4daa821edc399621853b57"),
        _grouplens("ml-latest-small"),
    )
}
"""The known data sets; the embedded one needs no download."""


def locate(name_or_path: str, raw_dir: Path) -> Path:
    """The zip of a known data set in `raw_dir`, its digests checked, or any zip or folder by its path.

    A known name wins over a path of that name; write `./ml-1m` for a folder called so.

    Raises:
        DataError: there is no such data set, it was not fetched yet, or its bytes are not the expected ones.
    """
    source = SOURCES.get(name_or_path)
    if source is None:
        path = expanded(name_or_path)
        if not path.exists():
            raise DataError(
                f"{name_or_path!r} is neither a known data set ({', '.join(SOURCES)}) nor the path of a zip or folder"
            )
        return path
    path = raw_dir / source.file
    if not path.is_file():
        raise DataError(f"{source.name} is not in {raw_dir}: {_how_to_get(source, path)}")
    verify(path, source)
    return path


def expanded(path: str) -> Path:
    """A path from a file or a variable, its `~` replaced as a shell would.

    Raises:
        DataError: there is no such home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(f"{path}: {error}; write the path in full") from error


def verify(path: Path, source: Source) -> None:
    """Compare a zip with its data set's published digests and with the record of the first copy, if there is one.

    Raises:
        DataError: one of them differs.
    """
    why = mismatch(path, source, recorded_sha256(path))
    if why:
        raise DataError(f"{path.name} is not the expected file: {why}; delete it, and {_how_to_get(source, path)}")


def mismatch(path: Path, source: Source, recorded: str) -> str:
    """How the bytes at `path` differ from a data set's digests and from a recorded SHA-256; '' if they do not."""
    for algorithm, expected in (("md5", source.md5), ("sha256", source.sha256)):
        found = file_digest(path, algorithm) if expected else ""
        if found != expected:
            return f"its {algorithm} is {found}, not the published {expected}"
    found = file_digest(path, "sha256") if recorded else ""
    if found != recorded:
        return (
            f"its sha256 is {found}, not {recorded} as of the first copy (delete {source.file}.sha256 if the data set "
            f"was renewed and you trust the new one)"
        )
    return ""


def record_path(path: Path) -> Path:
    """Where the SHA-256 of the first copy of a zip is kept."""
    return path.with_name(path.name + ".sha256")


def recorded_sha256(path: Path) -> str:
    """The SHA-256 of the first copy of a zip, '' if none was recorded.

    Raises:
        DataError: the record is not a digest.
    """
    record = record_path(path)
    if not record.is_file():
        return ""
    digest = record.read_bytes()[:1000].decode(errors="replace").split(" ")[0].strip()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise DataError(f"{record.name} holds no SHA-256: delete it if you trust {path.name}")
    return digest


def source_version(path: Path) -> str:
    """SHA-256 of a zip's bytes, or of the names and bytes of the files directly in a folder.

    Raises:
        DataError: there is nothing at `path`.
    """
    if path.is_file():
        return file_digest(path, "sha256")
    if not path.is_dir():
        raise DataError(f"{path} does not exist: give the path of a MovieLens zip or of its unpacked folder")
    whole = hashlib.sha256()
    for file in sorted(entry for entry in path.iterdir() if entry.is_file()):
        # repr() keeps a line feed in a name from passing for the next file.
        whole.update(f"{file_digest(file, 'sha256')} {file.name!r}\n".encode())
    return whole.hexdigest()


def source_bytes(path: Path) -> int:
    """Size of what `source_version` reads."""
    files = [path] if path.is_file() else [entry for entry in path.iterdir() if entry.is_file()]
    return sum(file.stat().st_size for file in files)


def file_digest(path: Path, algorithm: str) -> str:
    """Digest of a file's bytes, read in pieces."""
    digest = hashlib.new(algorithm, usedforsecurity=algorithm != "md5")
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): check the disk and the file's permissions"
        ) from error


def _how_to_get(source: Source, path: Path) -> str:
    if not source.url:
        return (
            f"let `recsys data fetch {source.name}`, with the same --lake, copy it there, or restore {path.name} from "
            "this project's repository"
        )
    return f"let `recsys data fetch {source.name}` fetch it, or download {source.url} yourself and put it at {path}"
