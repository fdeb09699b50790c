"""An empty event log of each kind, and children that may be killed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recsys_core.feedback.log import EventLog
from recsys_core.feedback.sqlite_log import SqliteLog

OpenLog = Callable[[], EventLog]


@pytest.fixture(params=["sqlite", "postgres"])
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenLog]:
    """Opens one and the same log anew, as another writer of it would."""
    opened: list[EventLog] = []
    make: Callable[[], EventLog]
    if request.param == "sqlite":

        def make() -> EventLog:
            return SqliteLog(tmp_path / "log")

    else:
        url = request.getfixturevalue("database")
        from recsys_core.feedback.postgres_log import PostgresLog

        def make() -> EventLog:
            return PostgresLog(url)

    def opener() -> EventLog:
        opened.append(make())
        return opened[-1]

    yield opener
    for one in opened:
        one.close()


@pytest.fixture
def log(open_log: OpenLog) -> EventLog:
    """An empty log of either kind."""
    return open_log()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteLog]:
    """An empty log in SQLite, for what does not depend on the kind."""
    with SqliteLog(tmp_path / "log") as one:
        yield one
