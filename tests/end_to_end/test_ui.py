"""The graph materializes from the real Dagster UI, driven in headless Chromium."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.assets.projects import Project
from tests.assets.test_planning import PARENTS
from tests.end_to_end.served import Served, served, wait_until

BUILD_S = 540
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def chromium() -> str | None:
    """A browser of this machine."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return os.environ.get("RECSYS_CHROMIUM") or next((path for path in found if path), None)


def materialize_all(page: Any, ui: Served) -> None:
    """Press the button of the job's page, as a newcomer would, and wait for the end of the run."""
    page.goto(f"{ui.url}/locations/recsys_assets.definitions/jobs/full_refresh")
    page.get_by_role("button", name="Materialize all").click()
    # Dagster warns that `interactions` was never materialized: true, and right, for there is no log yet.
    page.get_by_role("button", name="Confirm").click()

    def status() -> list[str]:
        return [run["status"] for run in ui.runs().values()]

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
    page.wait_for_timeout(5_000)  # the layout moves into place, fitted in width alone: what lies below is not drawn yet
    for _ in range(3):
        page.mouse.click(1572, 852)  # smaller
        page.wait_for_timeout(1_000)
    page.get_by_text("eval_report", exact=True).first.wait_for()
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
    with served(project) as ui, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000}, device_scale_factor=2)
        page.set_default_timeout(60_000)
        try:
            materialize_all(page, ui)
            take_pictures(page, ui.url, shots)
        finally:
            page.screenshot(path=shots / "last.png")
            browser.close()
    assert project.versions().keys() == PARENTS.keys()
    assert project.plan() == {}, "the UI and the command line agree on what was built"
