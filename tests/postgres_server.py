"""A PostgreSQL server of this machine's own packages, in a temporary folder, for as long as the tests run."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

UNPRIVILEGED = ("postgres", "nobody")
"""initdb refuses root; the first of these users that exists runs the server then."""


def binary(name: str) -> Path | None:
    """A program of PostgreSQL: of the newest package, else on the path."""
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = packaged[-1] if packaged else shutil.which(name)
    return Path(found).resolve() if found else None


@contextmanager
def server() -> Iterator[str]:
    """Start a server that listens on a socket in its own folder; gives the URL of its first database."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    initdb, postgres = binary("initdb"), binary("postgres")
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL server is installed on this machine")
    folder = Path(tempfile.mkdtemp(prefix="recsys-postgres-"))
    try:
        user = _user()
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        _run([initdb, "-D", folder / "data", "-U", "recsys", "-A", "trust", "-E", "UTF8", "--locale=C"], folder, who)
        port = _free_port()
        options = ["-D", folder / "data", "-k", folder, "-p", str(port), "-c", "listen_addresses="]
        with (
            (folder.parent / f"{folder.name}.log").open("w+b") as said,
            subprocess.Popen([postgres, *options], cwd=folder, stdout=said, stderr=said, **who) as process,
        ):
            try:
                yield _when_ready(f"postgresql://recsys@/postgres?host={folder}&port={port}", process)
            finally:
                process.terminate()
                process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.log").unlink(missing_ok=True)


def _user() -> pwd.struct_passwd | None:
    """Who shall run the server: this user, or another one where this is root."""
    if os.getuid():
        return None
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _run(command: list[object], folder: Path, who: dict[str, object]) -> None:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False, **who)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    """Only names the socket's file; no port is listened on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _when_ready(url: str, process: "subprocess.Popen[bytes]") -> str:
    import time

    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert process.poll() is None, "the server ended as it started"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        else:
            return url
