"""Download a known data set: resumable, and verified before it replaces a file.

The bytes go to a part file beside the target, which is renamed only after its digests were checked. So the target is
always complete. Nothing prevents two downloads of one data set at the same time; at worst the digest fails and the
fetch is repeated.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import tenacity

from recsys_core.data.movielens.sources import (
    SOURCES,
    Source,
    file_digest,
    locate,
    mismatch,
    record_path,
    recorded_sha256,
    verify,
)
from recsys_core.errors import DataError

Progress = Callable[[int, int], None]

MAX_DOWNLOAD_BYTES = 2 << 30
"""The largest data set, 25M, has 0.26 GB; a server must not fill the disk."""


class InterruptedDownloadError(Exception):
    """The server was unavailable or stopped in the middle: retry."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Number of attempts and the first wait between them; the wait doubles each time."""

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    timeout_s: float = 30.0  # without a byte


def fetch(name: str, raw_dir: Path, progress: Progress | None = None, shipped: Path | None = None) -> Path:
    """The zip of a known data set in `raw_dir`, downloaded or copied unless a verified copy lies there already.

    Args:
        name: one of `sources.SOURCES`.
        raw_dir: the folder of raw data; made if missing.
        shipped: the folder in which the data set that comes with the project lies.
        progress: called with the bytes done and the bytes in all (0 if the server does not say).

    Raises:
        DataError: the name is unknown, there is no network, the disk is full, or the server's bytes are wrong. The
            message says what to do; what was downloaded so far is kept for the next try, unless it is wrong.
    """
    source = SOURCES.get(name)
    if source is None:
        raise DataError(f"{name!r} is not a known data set: choose one of {', '.join(SOURCES)}")
    if source.url:
        return download(source, raw_dir, progress)
    target = raw_dir / source.file
    if shipped is not None and (shipped / source.file).is_file() and not target.is_file():
        with _writing(target):
            _copy_verified(source, shipped / source.file, target)
    return locate(name, raw_dir)


def download(source: Source, raw_dir: Path, progress: Progress | None = None, patience: Patience | None = None) -> Path:
    """`fetch` for a source that need not be a known one."""
    target = raw_dir / source.file
    with _writing(target):
        if not target.is_file():
            _download_verified(source, target, progress, patience or Patience())
        verify(target, source)
        _record(target)
    return target


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Make the folder, and explain what the disk refuses."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC
        remedy = "make room" if full else "check that the folder can be written to"
        raise DataError(f"{target} cannot be written ({error.strerror}): {remedy} and fetch again") from error


def _copy_verified(source: Source, shipped: Path, target: Path) -> None:
    verify(shipped, source)
    part = target.with_name(target.name + ".part")
    shutil.copyfile(shipped, part)
    part.replace(target)


def _download_verified(source: Source, target: Path, progress: Progress | None, patience: Patience) -> None:
    part = target.with_name(target.name + ".part")
    resumed = part.is_file()
    _download_patiently(source, part, progress, patience)
    try:
        _verify_part(part, target, source)
    except DataError:
        part.unlink()  # resuming it could never end well
        if not resumed:
            raise
        # Its first bytes may stem from an older version on the server: once more, from nothing.
        _download_patiently(source, part, progress, patience)
        _verify_part(part, target, source)
    part.replace(target)


def _download_patiently(source: Source, part: Path, progress: Progress | None, patience: Patience) -> None:
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(patience.attempts),
        wait=tenacity.wait_exponential(multiplier=patience.first_wait_s, max=patience.longest_wait_s),
        retry=tenacity.retry_if_exception_type((httpx.TransportError, InterruptedDownloadError)),
        reraise=True,
    )
    # A redirect leads to an address that was not checked; GroupLens needs none.
    with httpx.Client(timeout=patience.timeout_s, follow_redirects=False) as client:
        try:
            retrying(_attempt, client, source, part, progress or _no_progress)
        except (httpx.HTTPError, InterruptedDownloadError) as error:
            raise DataError(
                f"{source.url} could not be downloaded in {patience.attempts} tries ({error}): check the network and "
                f"fetch again, which resumes, or {_by_hand(source, part)}"
            ) from error


def _no_progress(done: int, total: int) -> None:
    """A progress callback that does nothing."""


def _attempt(client: httpx.Client, source: Source, part: Path, progress: Progress) -> None:
    """Download the missing bytes of the partial file."""
    have = part.stat().st_size if part.is_file() else 0
    # Without identity, a server may pack the stream, and then its ranges count other bytes than the file's.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", source.url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            _settle_beyond_end(response, part, have)
            return
        _check_status(response, source, part)
        start = _start_of(response, have)
        _write(response, part, start, progress)


def _settle_beyond_end(response: httpx.Response, part: Path, have: int) -> None:
    """The server has nothing after `have`: either the part is whole already, or it is not a part of this file."""
    if response.headers.get("Content-Range") != f"bytes */{have}":
        part.unlink()
        raise InterruptedDownloadError("the part file did not fit the server's file")


def _check_status(response: httpx.Response, source: Source, part: Path) -> None:
    status = response.status_code
    if status in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
        return
    if status >= 500 or status == httpx.codes.TOO_MANY_REQUESTS:
        raise InterruptedDownloadError(f"the server answered {status}")
    raise DataError(
        f"{source.url} answered {status} {response.reason_phrase}, not the file: look for its new address, "
        f"or {_by_hand(source, part)}"
    )


def _start_of(response: httpx.Response, have: int) -> int:
    """The offset at which the answer's bytes begin: 0 from a server that ignores Range."""
    if response.status_code == httpx.codes.OK:
        return 0
    match = re.fullmatch(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) > have:
        raise InterruptedDownloadError("the server sent another range than was asked for")
    return int(match[1])


def _write(response: httpx.Response, part: Path, start: int, progress: Progress) -> None:
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() else 0
    done = start
    with part.open("r+b" if start else "wb") as stream:
        stream.seek(start)
        stream.truncate()
        # As they come: a chunk size would hold bytes back, and a break would lose them.
        for chunk in response.iter_raw():
            done += len(chunk)
            if done > MAX_DOWNLOAD_BYTES:
                raise DataError(f"{response.url} sends more than {MAX_DOWNLOAD_BYTES:,} bytes: it is not a data set")
            stream.write(chunk)
            progress(done, total)
        stream.flush()
        os.fsync(stream.fileno())
    if total and done < total:
        raise InterruptedDownloadError(f"the connection ended after {done:,} of {total:,} bytes")


def _verify_part(part: Path, target: Path, source: Source) -> None:
    """Check the part file's digests, and those of a former copy of the target, before it takes that place."""
    why = mismatch(part, source, recorded_sha256(target))
    if why:
        raise DataError(
            f"{source.url} sent other bytes than expected: {why}; fetch again later, or {_by_hand(source, part)}"
        )


def _record(target: Path) -> None:
    """Remember the SHA-256 of the first copy; a later one that differs is refused."""
    if not recorded_sha256(target):
        record_path(target).write_text(f"{file_digest(target, 'sha256')}  {target.name}\n", encoding="ascii")


def _by_hand(source: Source, part: Path) -> str:
    return f"download it yourself and put it at {part.with_name(source.file)}"
