"""The graph materializes from the real Dagster UI, driven in headless Chromium."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recsys_assets.recipes import RECIPES
from tests.assets.projects import Project

START_S, BUILD_S = 120, 240
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
RUNS = "{ runsOrError { ... on Runs { results { status jobName } } } }"


def chromium() -> str | None:
    """A browser of this machine."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return os.environ.get("RECSYS_CHROMIUM") or next((path for path in found if path), None)


@contextmanager
def served(project: Project) -> Iterator[str]:
    """The address of `recsys ui` on a project, stopped with all its children at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "recsys_assets.cli", "ui", "--port", str(port)]
    with (project.root / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=project.environment, cwd=project.root, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_up(url), START_S, lambda: (project.root / "ui.log").read_text()[-3000:])
        yield url
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_up(url: str) -> bool:
    try:
        return bool(ask(url, "{ version }"))
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def ask(url: str, query: str) -> dict[str, Any]:
    """The UI's own GraphQL."""
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{url}/graphql", data=body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        data: dict[str, Any] = json.load(answer)["data"]
    return data


def wait_until(holds: Any, limit_s: float, why: Any) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.5)


@pytest.mark.ui
@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium: install one, or name it in RECSYS_CHROMIUM")
def test_the_graph_materializes_from_the_ui(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    project = Project.new(tmp_path / "project")
    shots = Path(os.environ.get("RECSYS_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    with served(project) as url, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(f"{url}/locations/recsys_assets.definitions/jobs/full_refresh")
        page.get_by_role("button", name="Materialize all").click()

        def status() -> list[str]:
            return [run["status"] for run in ask(url, RUNS)["runsOrError"]["results"]]

        wait_until(lambda: set(status()) & {"SUCCESS", "FAILURE"}, BUILD_S, lambda: f"{status()}, {shots}")
        page.screenshot(path=shots / "job.png")
        assert status() == ["SUCCESS"]
        page.goto(f"{url}/asset-groups?expanded=all")
        page.wait_for_timeout(5_000)
        page.screenshot(path=shots / "lineage.png")
        page.goto(f"{url}/assets/eval_report")
        page.wait_for_timeout(5_000)
        page.screenshot(path=shots / "eval_report.png")
        browser.close()
    assert project.versions().keys() == RECIPES.keys() - {"interactions"}
    assert project.plan() == {}, "the UI and the command line agree on what was built"
