"""What only the log in PostgreSQL does; what every log promises is in test_log."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from recsys_core.errors import LogError
from recsys_core.feedback.records import EVENTS_TABLE
from tests.core.feedback.rows import START, event

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from recsys_core.feedback.postgres_log import PostgresLog

Forked = Callable[[Callable[[], object]], int]


def test_writers_that_start_together_make_the_tables_once(database: str, forked: Forked) -> None:
    children = [forked(lambda n=n: PostgresLog(database).append(events=[event(n)])) for n in range(6)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 6
    with PostgresLog(database) as log:
        assert log.deliveries(EVENTS_TABLE).height == 6


def test_writers_of_the_same_rows_in_opposite_orders_do_not_block_each_other(database: str, forked: Forked) -> None:
    with PostgresLog(database) as log:
        log.append()

    def write(step: int) -> None:
        log = PostgresLog(database)
        for first in range(0, 400, 20):
            log.append(events=[event(number) for number in range(first, first + 20)][::step])

    children = [forked(lambda step=step: write(step)) for step in (1, -1, 1, -1)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 4
    with PostgresLog(database) as log:
        assert log.deliveries(EVENTS_TABLE).height == 400


def test_a_newer_version_is_refused(database: str) -> None:
    import psycopg

    with PostgresLog(database) as log:
        log.append(events=[event(1)])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE recsys_log.meta SET version = 2")
    with (
        PostgresLog(database) as log,
        pytest.raises(LogError, match="version 2 of the event log, this program knows 1"),
    ):
        log.deliveries(EVENTS_TABLE)


def test_a_commit_waits_for_the_disk_whatever_the_server_is_set_to(database: str) -> None:
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with PostgresLog(database) as log, log._writing() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_a_value_that_changed_in_the_database_is_noticed(database: str) -> None:
    import psycopg

    with PostgresLog(database) as log:
        log.append(events=[event(1), event(2)])
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("UPDATE recsys_log.events SET item_id = 0 WHERE event_id = 'e2'")
        with pytest.raises(LogError, match="the row e2 of events is not as it was written"):
            log.read_day(EVENTS_TABLE, START)
        assert len(log.damage()) == 1


def test_a_broken_connection_is_replaced(database: str) -> None:
    import psycopg

    with PostgresLog(database) as log:
        log.append(events=[event(1)])
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        log.append(events=[event(2)])
        assert log.deliveries(EVENTS_TABLE).height == 2


def test_a_user_who_may_not_write_is_told(database: str) -> None:
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
    with (
        PostgresLog(database.replace("recsys@", "reader@")) as log,
        pytest.raises(LogError, match="the user lacks permission: grant it the right to create a schema"),
    ):
        log.append(events=[event(1)])


def test_a_server_out_of_reach_is_named_without_the_password(tmp_path: os.PathLike[str]) -> None:
    with pytest.raises(LogError) as caught:
        PostgresLog(f"postgresql://me:secret@/log?host={tmp_path}").append(events=[event(1)])
    assert "check the server and RECSYS_LOG_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me@host/log", "names mysql: only postgresql:// is known"),
        ("somewhere", "RECSYS_LOG_URL is not a URL: write postgresql://user:password@host:port/database"),
    ],
)
def test_another_url_is_refused(url: str, said: str) -> None:
    with pytest.raises(LogError, match=said):
        PostgresLog(url)


def test_without_a_url_nothing_of_a_database_is_imported() -> None:
    code = (
        "import sys; from recsys_core.feedback import importing, inspection, interactions, quarantine, sqlite_log\n"
        "assert not {'sqlalchemy', 'psycopg', 'dagster', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
