"""Downloads against a real local server that breaks off, ignores ranges, refuses, or sends wrong bytes."""

import errno
import hashlib
import os
import random
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from recsys_core.data.movielens import fetch as module
from recsys_core.data.movielens.fetch import Patience, download, fetch
from recsys_core.data.movielens.sources import EMBEDDED, Source, record_path
from recsys_core.errors import DataError

CONTENT = random.Random(7).randbytes(300_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
QUICK = Patience(attempts=4, first_wait_s=0.001, longest_wait_s=0.002, timeout_s=5.0)


@dataclass
class Server:
    """How the server behaves, and what it was asked."""

    port: int = 0
    content: bytes = CONTENT
    break_after: list[int] = field(default_factory=list)  # bytes after which each answer in turn breaks off
    statuses: list[int] = field(default_factory=list)  # status of each answer in turn, before the normal ones
    honours_range: bool = True
    shift: int = 0  # sends another range than was asked for
    says_length: bool = True
    ranges: list[str | None] = field(default_factory=list)

    def source(self, md5: str = MD5) -> Source:
        return Source(name="ml-test", url=f"http://127.0.0.1:{self.port}/ml-test.zip", md5=md5)


class Handler(BaseHTTPRequestHandler):
    """Serves one file as `behaviour` says."""

    behaviour: Server

    def do_GET(self) -> None:
        server = self.behaviour
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.honours_range else 0
        if server.statuses:
            self.answer(server.statuses.pop(0))
        elif start >= len(server.content):
            self.answer(416, {"Content-Range": f"bytes */{len(server.content)}"})
        else:
            self.send_part(start + server.shift if start else 0, ranged=bool(asked) and server.honours_range)

    def answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {"Content-Length": "0"}).items():
            self.send_header(name, value)
        self.end_headers()

    def send_part(self, start: int, *, ranged: bool) -> None:
        size = len(self.behaviour.content)
        part = self.behaviour.content[start:]
        headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if ranged else {"X-Whole": "yes"}
        if self.behaviour.says_length:
            headers["Content-Length"] = str(len(part))
        self.answer(206 if ranged else 200, headers)
        if not self.behaviour.break_after:
            self.wfile.write(part)
            return
        self.wfile.write(part[: self.behaviour.break_after.pop(0)])
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # where the environment names a proxy, it must not answer for us
    behaviour = Server()
    handler = type("BehavingHandler", (Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        behaviour.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield behaviour
        listening.shutdown()
        thread.join()


def test_a_download_is_verified_recorded_and_reported(server: Server, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    path = download(server.source(), tmp_path / "raw", lambda done, total: progress.append((done, total)), QUICK)
    assert path.read_bytes() == CONTENT
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})
    assert record_path(path).read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  ml-test.zip\n"
    assert {entry.name for entry in path.parent.iterdir()} == {"ml-test.zip", "ml-test.zip.sha256"}


def test_a_copy_that_lies_there_is_checked_and_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    path = download(server.source(), tmp_path, patience=QUICK)
    assert download(server.source(), tmp_path, patience=QUICK) == path
    assert len(server.ranges) == 1
    path.write_bytes(b"changed")
    with pytest.raises(DataError, match="is not the expected file"):
        download(server.source(), tmp_path, patience=QUICK)


def test_a_broken_download_resumes_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.break_after = [100_000, 50_000]
    assert download(server.source(), tmp_path, patience=QUICK).read_bytes() == CONTENT
    assert server.ranges[0] is None
    assert len(server.ranges) == 3
    starts = [int(text.removeprefix("bytes=").rstrip("-")) for text in server.ranges[1:] if text]
    assert starts == [100_000, 150_000]


def test_a_server_that_ignores_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.break_after, server.honours_range = [100_000], False
    assert download(server.source(), tmp_path, patience=QUICK).read_bytes() == CONTENT
    assert len(server.ranges) == 2


def test_a_download_that_fails_for_good_is_resumed_by_the_next_fetch(server: Server, tmp_path: Path) -> None:
    server.break_after = [70_000] * 4
    with pytest.raises(DataError) as caught:
        download(server.source(), tmp_path / "raw", patience=QUICK)
    assert "could not be downloaded in 4 tries" in str(caught.value)
    assert f"download it yourself and put it at {tmp_path / 'raw' / 'ml-test.zip'}" in str(caught.value)
    assert not (tmp_path / "raw" / "ml-test.zip").exists()
    download(server.source(), tmp_path / "raw", patience=QUICK)
    assert server.ranges[-1] is not None


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429, 500]
    assert download(server.source(), tmp_path, patience=QUICK).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [302, 403, 404])
def test_a_server_that_refuses_or_sends_elsewhere_is_not_asked_again(
    server: Server, tmp_path: Path, status: int
) -> None:
    server.statuses = [status]
    with pytest.raises(DataError, match=f"answered {status} .*, not the file"):
        download(server.source(), tmp_path, patience=QUICK)
    assert len(server.ranges) == 1


def test_wrong_bytes_are_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    server.content = b"evil" * 1000
    with pytest.raises(DataError, match=f"sent other bytes than expected: its md5 is .*, not the published {MD5}"):
        download(server.source(), tmp_path, patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_an_older_file_is_thrown_away_and_all_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml-test.zip.part").write_bytes(b"old" * 1000)
    assert download(server.source(), tmp_path, patience=QUICK).read_bytes() == CONTENT
    assert server.ranges == ["bytes=3000-", None]


def test_a_part_that_is_whole_already_is_only_verified(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml-test.zip.part").write_bytes(CONTENT)
    assert download(server.source(), tmp_path, patience=QUICK).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml-test.zip.part").write_bytes(CONTENT + b"more")
    assert download(server.source(), tmp_path, patience=QUICK).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) + 4}-", None]


def test_another_range_than_was_asked_for_is_never_written(server: Server, tmp_path: Path) -> None:
    server.break_after, server.shift = [100_000], 10
    with pytest.raises(DataError, match="the server sent another range than was asked for"):
        download(server.source(), tmp_path, patience=QUICK)
    server.shift = -10  # an overlap is fine
    assert download(server.source(), tmp_path, patience=QUICK).read_bytes() == CONTENT


def test_a_server_that_does_not_say_the_length_is_believed_only_by_digest(server: Server, tmp_path: Path) -> None:
    server.says_length, server.break_after = False, [100_000]
    totals: list[int] = []
    with pytest.raises(DataError, match="sent other bytes than expected"):
        download(server.source(), tmp_path, lambda _, total: totals.append(total), QUICK)
    assert set(totals) == {0}
    assert download(server.source(), tmp_path, patience=QUICK).read_bytes() == CONTENT


def test_a_server_may_not_fill_the_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DOWNLOAD_BYTES", 1000)
    with pytest.raises(DataError, match="sends more than 1,000 bytes: it is not a data set"):
        download(server.source(), tmp_path, patience=QUICK)


def test_without_a_published_digest_the_first_copy_is_trusted_and_another_refused(
    server: Server, tmp_path: Path
) -> None:
    path = download(server.source(md5=""), tmp_path, patience=QUICK)
    path.unlink()
    server.content = b"renewed"
    with pytest.raises(DataError, match=r"not .* as of the first copy \(delete ml-test\.zip\.sha256 if"):
        download(server.source(md5=""), tmp_path, patience=QUICK)
    assert not path.exists()
    record_path(path).unlink()
    assert download(server.source(md5=""), tmp_path, patience=QUICK).read_bytes() == b"renewed"


def test_no_network_is_one_sentence_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, but nobody listens
        source = Source(name="ml-test", url=f"http://127.0.0.1:{free.getsockname()[1]}/ml-test.zip", md5=MD5)
        with pytest.raises(DataError) as caught:
            download(source, tmp_path, patience=QUICK)
    assert re.search(r"check the network and fetch again.*put it at .*ml-test\.zip$", str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_sentence_with_the_remedy(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"cannot be written .*: make room and fetch again"):
        download(server.source(), tmp_path, patience=QUICK)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="check that the folder can be written to"):
        download(Source(name="ml-test", url="http://127.0.0.1:9/"), tmp_path / "file" / "raw", patience=QUICK)


def test_the_embedded_data_set_needs_no_download(embedded: Path) -> None:
    assert fetch(EMBEDDED, embedded.parent) == embedded


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"'ml-2m' is not a known data set: choose one of ml-latest-small-2016, ml-100k"
    ):
        fetch("ml-2m", tmp_path)


def test_the_shipped_data_set_is_copied_into_another_lake_and_checked(tmp_path: Path, embedded: Path) -> None:
    assert fetch(EMBEDDED, tmp_path / "raw", shipped=embedded.parent).read_bytes() == embedded.read_bytes()
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [embedded.name]


def test_a_shipped_data_set_that_is_damaged_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / f"{EMBEDDED}.zip").write_bytes(b"damaged")
    with pytest.raises(DataError, match="is not the expected file"):
        fetch(EMBEDDED, tmp_path / "raw", shipped=tmp_path)
    assert list((tmp_path / "raw").iterdir()) == []
