"""Runs of dead processes are marked as failed, and no others."""

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.refresh import dead_runs
from recsys_assets.refresh.dead_runs import OWNER_TAG, SERVER_TAG, mark_failed, run_owner


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as opened:
        yield opened


@dg.job
def nothing() -> None:
    """A job to have runs of."""


def started(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    """A run that Dagster holds for running."""
    run = instance.create_run_for_job(nothing, tags=tags)
    instance.report_engine_event("started", run)
    event = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    instance.handle_new_event(entry(event, run.run_id))
    assert status(instance, run.run_id) == "STARTED"
    return run.run_id


def entry(event: dg.DagsterEvent, run: str) -> dg.EventLogEntry:
    return dg.EventLogEntry(
        error_info=None, level=10, user_message="", run_id=run, timestamp=1.0, job_name=event.job_name,
        dagster_event=event,
    )  # fmt: skip


def status(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status.value


def test_a_run_lives_as_long_as_its_owner(instance: dg.DagsterInstance) -> None:
    with run_owner(instance) as tags:
        run = started(instance, tags)
        assert mark_failed(instance) == []
    assert mark_failed(instance) == [run]
    assert status(instance, run) == "FAILURE"
    assert mark_failed(instance) == []


def test_an_owner_that_died_leaves_an_unlocked_folder_which_is_swept(instance: dg.DagsterInstance) -> None:
    folder = Path(instance.root_directory) / "owners" / "process-of-somebody"
    folder.mkdir(parents=True)
    run = started(instance, {OWNER_TAG: folder.name})
    assert mark_failed(instance) == [run]
    assert not folder.exists()


def test_a_run_that_ends_well_while_it_is_asked_after_is_left_as_it_ended(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(instance, {OWNER_TAG: "process-that-ended"})
    ask = dead_runs._is_dead

    def ends_meanwhile(asked: dg.DagsterInstance, tags: Mapping[str, str]) -> bool:
        event = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name=nothing.name)
        instance.handle_new_event(entry(event, run))
        return ask(asked, tags)

    monkeypatch.setattr(dead_runs, "_is_dead", ends_meanwhile)
    assert mark_failed(instance) == []
    assert status(instance, run) == "SUCCESS"


def test_a_launched_run_lives_as_long_as_its_code_server(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    path = tmp_path / "code.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        run = started(instance, {SERVER_TAG: json.dumps({"host": "localhost", "socket": str(path)})})
        assert mark_failed(instance) == []
    assert mark_failed(instance) == [run]


def test_a_code_server_on_a_port_is_asked_there(instance: dg.DagsterInstance) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = {"host": "127.0.0.1", "port": server.getsockname()[1]}
        run = started(instance, {SERVER_TAG: json.dumps(where)})
        assert mark_failed(instance) == []
    assert mark_failed(instance) == [run]


def test_a_run_of_which_nobody_can_tell_is_left_alone(instance: dg.DagsterInstance) -> None:
    run = started(instance, {})
    assert mark_failed(instance) == []
    assert status(instance, run) == "STARTED"
