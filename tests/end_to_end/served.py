"""`recsys ui` on a project of its own, and ways to ask it something."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.assets.projects import Project

START_S, STOP_S = 120, 60


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running `recsys ui`."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The address that a browser opens."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The UI's own GraphQL."""
        body = json.dumps({"query": query, "variables": variables})
        status, answer = self.request("POST", "/graphql", body, {"content-type": "application/json"})
        assert status == 200, answer
        found: dict[str, Any] = json.loads(answer)["data"]
        return found

    def request(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and text of one answer; a header given here replaces the usual one of that name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, "" if answer.status == 101 else answer.read().decode()
        finally:
            connection.close()

    def launch(self, job: str) -> str:
        """Start a job as its launchpad does; returns the id of the run."""
        launched = self.ask(LAUNCH, job=job)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run: str = launched["run"]["runId"]
        return run

    def runs(self, **tags: str) -> dict[str, dict[str, Any]]:
        """Runs by id, oldest first, optionally those with some tags."""
        found = self.ask(RUNS)["runsOrError"]["results"]
        runs = {
            run["runId"]: run | {"tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in reversed(found)
        }
        return {run: said for run, said in runs.items() if tags.items() <= said["tags"].items()}

    def status(self, run: str) -> str:
        """Where a run stands."""
        status: str = self.runs()[run]["status"]
        return status

    def finished(self, run: str, limit_s: float = 240) -> str:
        """Where a run stands in the end."""
        wait_until(lambda: self.status(run) in FINISHED, limit_s, lambda: str(self.runs()))
        return self.status(run)

    def is_up(self) -> bool:
        """Whether the definitions are loaded."""
        try:
            return "LOADED" in json.dumps(self.ask(LOCATIONS))
        except (OSError, http.client.HTTPException):
            return False


FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
RUNS = "{ runsOrError { ... on Runs { results { runId status jobName tags { key value } } } } }"
LAUNCH = """
mutation launch($job: String!) {
  launchRun(executionParams: {mode: "default", runConfigData: {}, selector: {
    repositoryLocationName: "recsys_assets.definitions", repositoryName: "__repository__", jobName: $job
  }}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"
BUILT = "{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { runId } } }"


def makers(ui: Served) -> dict[str, str]:
    """Asset -> the run of its latest materialization."""
    nodes = {node["assetKey"]["path"][0]: node["assetMaterializations"] for node in ui.ask(BUILT)["assetNodes"]}
    return {name: made[0]["runId"] for name, made in nodes.items() if made}


@contextmanager
def served(project: Project) -> Iterator[Served]:
    """`recsys ui` on a project, stopped by Ctrl-C at the end."""
    port = free_port()
    command = [sys.executable, "-m", "recsys_assets.cli", "ui", "--port", str(port)]
    with (project.root / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=project.environment, cwd=project.root, stdout=log, stderr=log, start_new_session=True
        )
    ui = Served(port=port, process=process)
    try:
        wait_until(lambda: process.poll() is not None or ui.is_up(), START_S, lambda: said(project))
        assert process.poll() is None, said(project)
        yield ui
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def said(project: Project) -> str:
    """The last words of the UI's processes."""
    return (project.root / "ui.log").read_text()[-3000:]


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until(holds: Callable[[], bool], limit_s: float, why: Callable[[], str]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.5)


def processes_of(project: Project) -> dict[int, str]:
    """Every living process that has this project's lake in its environment: pid -> command. Linux only."""
    mark, found = f"RECSYS_LAKE={project.lake}".encode(), {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"{entry.path}/environ", "rb") as environ, open(f"{entry.path}/cmdline", "rb") as command:  # noqa: PTH123
                    if mark in environ.read().split(b"\0"):
                        found[int(entry.name)] = command.read().replace(b"\0", b" ").decode()
            except OSError:  # it has ended, or belongs to somebody else
                continue
    return {pid: command for pid, command in found.items() if command}
