"""Projects that were built once, for the tests of assets and of the whole; and a database server."""

import itertools
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from tests.assets.projects import Answer, Project
from tests.postgres_server import server

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")

LONGEST_TMPDIR = 60
"""Tests open sockets below it, whose paths may have a hundred characters."""


def _settle_surroundings() -> None:
    """Make processes that tests start independent of how the suite was started."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell does so to what it starts in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_TMPDIR:
        os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"


_settle_surroundings()

_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Built:
    """A project whose whole graph was built by `recsys run`, and what that said."""

    project: Project
    first: Answer


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The embedded data with the smoke settings, built by the real command line. Read it, do not change it."""
    project = Project.new(tmp_path_factory.mktemp("built"))
    return Built(project=project, first=project.subprocess("-m", "recsys_assets.cli", "run"))


@pytest.fixture
def project(built: Built, tmp_path: Path) -> Project:
    """A copy of the built project, to do anything to."""
    assert built.first.code == 0, built.first.err
    return built.project.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a running server."""
    with server() as url:
        yield url


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The URL of an empty database of its own."""
    import psycopg

    name = f"log_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
