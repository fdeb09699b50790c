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

from tests.assets.projects import Project
from tests.assets.test_planning import PARENTS

START_S, BUILD_S = 120, 540
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


def materialize_all(page: Any, url: str) -> None:
    """Press the button of the job's page, as a newcomer would, and wait for the end of the run."""
    page.goto(f"{url}/locations/recsys_assets.definitions/jobs/full_refresh")
    page.get_by_role("button", name="Materialize all").click()
    # Dagster warns that `interactions` was never materialized: true, and right, for there is no log yet.
    page.get_by_role("button", name="Confirm").click()

    def status() -> list[str]:
        return [run["status"] for run in ask(url, RUNS)["runsOrError"]["results"]]

    wait_until(lambda: set(status()) & {"SUCCESS", "FAILURE"}, BUILD_S, lambda: f"runs: {status()}")
    assert status() == ["SUCCESS"]


def take_pictures(page: Any, url: str, folder: Path) -> None:
    """The graph with all groups open, and the page of the evaluation report."""
    page.goto(f"{url}/asset-groups")
    page.get_by_text("Hide navigation").click()
    page.get_by_text("retrieval", exact=True).last.wait_for()
    page.wait_for_timeout(1_000)
    page.mouse.click(340, 80)  # closes the list of groups beside the graph; its button has no name
    page.wait_for_timeout(1_000)
    page.keyboard.press("Alt+KeyE")  # opens all groups
    page.get_by_text("eval_report", exact=True).first.wait_for()
    page.wait_for_timeout(2_000)  # the layout moves into place, fitted in width alone
    for _ in range(3):
        page.mouse.click(1572, 852)  # smaller
        page.wait_for_timeout(1_000)
    page.screenshot(path=folder / "lineage.png")
    page.goto(f"{url}/assets/eval_report")
    page.get_by_text("two-stage", exact=True).first.wait_for()
    page.get_by_text("Metadata", exact=True).first.evaluate("heading => heading.scrollIntoView({block: 'start'})")
    page.wait_for_timeout(2_000)
    page.screenshot(path=folder / "eval_report.png")


@pytest.mark.ui
@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium: install one, or name it in RECSYS_CHROMIUM")
def test_the_graph_materializes_from_the_ui(tmp_path: Path) -> None:
    """With RECSYS_SCREENSHOTS=folder, on the full settings, for the pictures of the docs."""
    playwright = pytest.importorskip("playwright.sync_api")
    project, shots = Project.new(tmp_path / "project"), tmp_path
    if "RECSYS_SCREENSHOTS" in os.environ:
        project.settings.write_text("")
        shots = Path(os.environ["RECSYS_SCREENSHOTS"])
        shots.mkdir(parents=True, exist_ok=True)
    with served(project) as url, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000}, device_scale_factor=2)
        page.set_default_timeout(60_000)
        try:
            materialize_all(page, url)
            take_pictures(page, url, shots)
        finally:
            page.screenshot(path=shots / "last.png")
            browser.close()
    assert project.versions().keys() == PARENTS.keys()
    assert project.plan() == {}, "the UI and the command line agree on what was built"
