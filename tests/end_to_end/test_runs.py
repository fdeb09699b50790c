"""Runs as the UI launches them: through the queue, in processes of their own, watched, stopped and killed."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from recsys_assets.automation.jobs import GROUP_TAG, PARENT_TAG
from tests.assets.edits import change
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import below
from tests.end_to_end.served import Served, makers, processes_of, said, served, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

AS_BUILT: dict[str, object] = {"n_epochs": 3, "refit_epochs": 1}
LONG: dict[str, object] = {"n_epochs": 1000, "refit_epochs": 1000}
"""Settings of a training that takes minutes, and those of the smoke settings."""

TERMINATE = "mutation stop($run: String!) { terminateRun(runId: $run) { __typename } }"
FAILURES = """
query failures($run: ID!) {
  runOrError(runId: $run) { ... on Run { eventConnection { events {
    ... on ExecutionStepFailureEvent { error { message } failureMetadata { description } }
  } } } }
}
"""


LINKS = """
query links($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events { ... on EngineEvent {
  metadataEntries { ... on PipelineRunMetadataEntry { runId } }
} } } } }
"""
RUNS_OF_JOB = """
query listed($job: String!) { runsOrError(filter: {
  pipelineName: $job, tags: [{key: ".dagster/repository", value: "__repository__@recsys_assets.definitions"}]
}) { ... on Runs { results { runId } } } }
"""


def waves(ui: Served, run: str) -> dict[str, dict[str, Any]]:
    """The runs that a refresh started."""
    return ui.runs(**{PARENT_TAG: run})


def descriptions(ui: Served, run: str) -> list[str]:
    """What the failed steps of a run say of themselves."""
    events = ui.ask(FAILURES, run=run)["runOrError"]["eventConnection"]["events"]
    return [event["failureMetadata"]["description"] for event in events if event.get("failureMetadata")]


def linked(ui: Served, run: str) -> set[str]:
    """The runs that the log of a run has links to."""
    events = ui.ask(LINKS, run=run)["logsForRun"]["events"]
    return {entry["runId"] for event in events for entry in event.get("metadataEntries", ()) if "runId" in entry}


def listed(ui: Served, job: str) -> set[str]:
    """The runs that the page of a job lists."""
    found = ui.ask(RUNS_OF_JOB, job=job)["runsOrError"]["results"]
    return {run["runId"] for run in found}


def start_long_refresh(ui: Served) -> str:
    """A refresh in the middle of a training that would take minutes."""
    run = ui.launch("refresh")
    wait_until(lambda: [wave["status"] for wave in waves(ui, run).values()] == ["STARTED"], 180, lambda: str(ui.runs()))
    return run


def worker_of(project: Project) -> int:
    """The process that runs a run."""
    (worker,) = (pid for pid, command in processes_of(project).items() if "spawn_main" in command)
    return worker


def test_refresh_goes_down_to_the_fixed_point_with_early_cut_off(project: Project) -> None:
    change(project, "ranker", n_rounds=11)
    change(project, "faiss_index", n_probe=9)  # of no effect on an exact index, so its children stay
    with served(project) as ui:
        before = makers(ui)
        first = ui.launch("refresh")
        assert ui.finished(first) == "SUCCESS", said(project)
        made = {name: run for name, run in makers(ui).items() if before[name] != run}
        assert made.keys() == {"faiss_index", "ranker"} | below("ranker")
        assert {*made.values()} == waves(ui, first).keys(), "each wave is a run of its own in the same instance"
        assert {run["status"] for run in waves(ui, first).values()} == {"SUCCESS"}
        assert linked(ui, first) == waves(ui, first).keys(), "the log of the refresh leads to each of its waves"
        for wave, run in waves(ui, first).items():
            assert run["jobName"] == "__ASSET_JOB", "which the UI shows as the assets: no other job ran"
            assert run["tags"].keys() == {"recsys/scope", "recsys/launched_by", PARENT_TAG, GROUP_TAG}
            assert wave in listed(ui, "__ASSET_JOB"), "the page of its job finds it"
        second = ui.launch("refresh")
        assert ui.finished(second) == "SUCCESS"
        assert waves(ui, second) == {}, "nothing was out of date"
    assert project.plan() == {}


def stopped(ui: Served, run: str) -> str:
    """Where a run stands in the end that was asked to stop."""
    assert ui.ask(TERMINATE, run=run)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    return ui.finished(run)


def test_stopping_a_refresh_stops_its_wave_and_the_next_one_goes_on(project: Project) -> None:
    change(project, "two_tower", **LONG)
    with served(project) as ui:
        run = start_long_refresh(ui)
        assert stopped(ui, run) == "CANCELED", said(project)
        # A wave's own run was not asked to stop: Dagster calls it failed, "interrupted unexpectedly".
        assert [wave["status"] for wave in waves(ui, run).values()] == ["FAILURE"]
        assert stopped(ui, start_long_refresh(ui)) == "CANCELED", said(project)
    assert "two_tower" in project.plan()


def test_a_killed_run_is_marked_as_failed_and_so_is_its_wave(project: Project) -> None:
    change(project, "two_tower", **LONG)
    with served(project) as ui:
        run = start_long_refresh(ui)
        os.kill(worker_of(project), signal.SIGKILL)
        assert ui.finished(run) == "FAILURE"
        (wave,) = waves(ui, run)
        assert ui.finished(wave) == "FAILURE"
    change(project, "two_tower", **AS_BUILT)
    assert project.refresh() == []


def test_closing_the_ui_ends_its_runs(project: Project) -> None:
    change(project, "two_tower", **LONG)
    with served(project) as ui:
        run = start_long_refresh(ui)
    assert processes_of(project) == {}
    with served(project) as ui:
        assert {ui.status(one) for one in [run, *waves(ui, run)]} == {"FAILURE"}


def test_two_runs_that_train_do_so_one_after_the_other(project: Project) -> None:
    with served(project) as ui:
        first, second = ui.launch("retrieval_only"), ui.launch("ranking_only")
        wait_until(lambda: ui.status(first) == "STARTED", 180, lambda: str(ui.runs()))
        assert ui.status(second) == "QUEUED"
        assert ui.finished(first) == ui.finished(second) == "SUCCESS"


def test_a_failure_shows_its_remedy(project: Project) -> None:
    (project.lake / "raw" / "ml-latest-small-2016.zip").rename(project.root / "away.zip")
    with served(project) as ui:
        run = ui.launch("full_refresh")
        assert ui.finished(run) == "FAILURE"
        (description,) = descriptions(ui, run)
        assert "ml-latest-small-2016" in description
        refresh = ui.launch("refresh")
        assert ui.finished(refresh) == "FAILURE"
        assert descriptions(ui, refresh) == [description]


def test_a_killed_refresh_of_the_command_line_is_buried_by_the_next(project: Project) -> None:
    change(project, "two_tower", **LONG)
    command = [sys.executable, "-m", "recsys_assets.cli", "refresh"]
    with subprocess.Popen(command, env=project.environment, cwd=project.root, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        wait_until(lambda: running(project) == 1, 180, lambda: str(running(project)))
        process.kill()
    assert running(project) == 1
    change(project, "two_tower", **AS_BUILT)
    assert project.refresh() == []
    assert running(project) == 0


def running(project: Project) -> int:
    """How many runs Dagster holds for running."""
    return int(project.call(print_running).out)


def print_running() -> None:
    """Counted in a process of the project."""
    import dagster as dg

    from recsys_assets.instance import instance

    with instance() as opened:
        print(opened.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])))  # noqa: T201
