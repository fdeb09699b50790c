"""Projects that were built once, for the tests of assets and of the whole; and a database server."""

import itertools
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from recsys_core.lake import locks
from tests.assets.projects import Answer, Project
from tests.postgres_server import server

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

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


Once = Callable[[str, Callable[[Path], str]], tuple[Path, str]]
"""From a name and what fills an empty folder, and says something about it, to both: the folder and what was said."""


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fills a folder once in a test run, however many workers ask for it; the others wait.

    Where RECSYS_TEST_PROJECTS names a folder, several test runs of the same sources share what they make, as in CI.
    """
    own = tmp_path_factory.getbasetemp()
    shared = Path(os.environ.get("RECSYS_TEST_PROJECTS") or (own.parent if IS_WORKER else own))

    def filled(name: str, fill: Callable[[Path], str]) -> tuple[Path, str]:
        folder, said = shared / name, shared / f"{name}.said"
        with locks.exclusive(shared / f"{name}.lock"):
            if not said.exists():
                folder.mkdir()
                said.write_text(fill(folder), encoding="utf-8")
        return folder, said.read_text(encoding="utf-8")

    return filled


@pytest.fixture(scope="session")
def built(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The embedded data with the smoke settings, built by the real command line. Read it, do not change it.

    Each worker has a copy of its own: what one test asks of it must not meet what another asks.
    """

    def build(root: Path) -> str:
        return json.dumps(asdict(Project.new(root).subprocess("-m", "recsys_assets.cli", "run")))

    root, first = once("built", build)
    own = Project(root=root).copy(tmp_path_factory.mktemp("built"))
    return Built(project=own, first=Answer(**json.loads(first)))


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
