"""The graph materializes from the real Dagster UI, driven in headless Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys_assets.automation.jobs import PARENT_TAG
from recsys_assets.runs import LAUNCHED_BY_TAG
from recsys_core.days import DAY_S
from tests.assets.edits import change
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import PARENTS, below, skip, write_log
from tests.end_to_end.served import Served, makers, served, wait_until

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
    """The graph with all groups open, and a picture of the evaluation report, as its page shows it."""
    page.set_viewport_size({"width": 1600, "height": 1350})
    page.goto(f"{url}/asset-groups")
    page.get_by_text("Hide navigation").click()
    page.get_by_text("retrieval", exact=True).last.wait_for()
    page.wait_for_timeout(1_000)
    page.mouse.click(340, 80)  # closes the list of groups beside the graph; its button has no name
    page.wait_for_timeout(1_000)
    page.keyboard.press("Alt+KeyE")  # opens all groups
    page.wait_for_timeout(5_000)  # the layout moves into place, fitted in width alone: what lies below is not drawn yet
    for _ in range(3):
        page.mouse.click(1572, 1202)  # smaller
        page.wait_for_timeout(1_000)
    page.mouse.move(300, 900)
    page.mouse.down()
    page.mouse.move(300, 970, steps=5)  # down a little, so that the highest group is whole
    page.mouse.up()
    page.wait_for_timeout(1_000)
    page.get_by_text("eval_report", exact=True).first.wait_for()
    page.screenshot(path=folder / "lineage.png", clip={"x": 420, "y": 130, "width": 860, "height": 1180})
    page.set_viewport_size({"width": 1200, "height": 800})
    page.goto(f"{url}/assets/eval_report")
    page.get_by_placeholder("Filter metadata keys").fill("ndcg_by_model")
    page.get_by_text("[Show Markdown]").click()
    page.locator("img[src^='data:image/png;base64,']").first.wait_for()
    page.wait_for_timeout(1_000)
    page.screenshot(path=folder / "eval_report.png")


@contextmanager
def page_in(driver: Any, shots: Path) -> Iterator[Any]:
    """A page of a headless browser; its last state is kept as a picture."""
    browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
    page = browser.new_page(viewport={"width": 1600, "height": 1000}, device_scale_factor=2)
    page.set_default_timeout(60_000)
    try:
        yield page
    finally:
        page.screenshot(path=shots / "last.png")
        browser.close()


def shots_in(folder: Path) -> Path:
    """Where pictures go: RECSYS_SCREENSHOTS for those of the docs, else a folder that is thrown away."""
    shots = Path(os.environ.get("RECSYS_SCREENSHOTS", folder))
    shots.mkdir(parents=True, exist_ok=True)
    return shots


@pytest.mark.ui
@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium: install one, or name it in RECSYS_CHROMIUM")
def test_the_graph_materializes_from_the_ui(tmp_path: Path) -> None:
    """With RECSYS_SCREENSHOTS=folder, on the full settings, for the pictures of the docs."""
    playwright = pytest.importorskip("playwright.sync_api")
    project, shots = Project.new(tmp_path / "project"), shots_in(tmp_path)
    if "RECSYS_SCREENSHOTS" in os.environ:
        project.settings.write_text("")
    with served(project) as ui, playwright.sync_playwright() as driver, page_in(driver, shots) as page:
        materialize_all(page, ui)
        take_pictures(page, ui.url, shots)
    assert project.versions().keys() == PARENTS.keys()
    assert project.plan() == {}, "the UI and the command line agree on what was built"


def launch_refresh(page: Any, ui: Served) -> None:
    """The job's launchpad, as the guide says, and the end of the run."""
    page.goto(f"{ui.url}/locations/recsys_assets.definitions/jobs/refresh/playground")
    page.get_by_role("button", name="Launch run").click()
    wait_until(lambda: bool(jobs(ui, "refresh")), 60, lambda: str(ui.runs()))
    (run,) = jobs(ui, "refresh")
    assert ui.finished(run) == "SUCCESS"


def launch_backfill(page: Any, ui: Served, days: str) -> str:
    """The asset's own button, and the end of the run."""
    page.goto(f"{ui.url}/assets/interactions?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Show all partitions").click()
    field = page.get_by_role("dialog").get_by_role("textbox").first
    field.fill(days)
    field.press("Enter")
    page.get_by_text("Backfills all partitions in a single run").wait_for()
    page.get_by_role("button", name="Launch backfill").click()
    wait_until(lambda: bool(backfills(ui)), 120, lambda: str(ui.runs()))
    (run,) = backfills(ui)
    assert ui.finished(run) == "SUCCESS"
    return run


def jobs(ui: Served, name: str) -> list[str]:
    """The runs of a job that a person launched."""
    return [run for run, about in ui.runs().items() if about["jobName"] == name and PARENT_TAG not in about["tags"]]


def backfills(ui: Served) -> list[str]:
    """The runs of Dagster's own asset job that a person launched: those of the command line say so."""
    return [run for run in jobs(ui, "__ASSET_JOB") if LAUNCHED_BY_TAG not in ui.runs()[run]["tags"]]


def unsynced(page: Any, ui: Served, asset: str) -> bool:
    """Whether the asset's page says so."""
    page.goto(f"{ui.url}/assets/{asset}")
    page.get_by_text("Latest materialization").first.wait_for()
    page.wait_for_timeout(3_000)
    return bool(page.get_by_text("Unsynced").count())


@pytest.mark.ui
@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium: install one, or name it in RECSYS_CHROMIUM")
def test_a_changed_setting_is_seen_and_refreshed_and_days_are_backfilled_in_the_ui(
    project: Project, tmp_path: Path
) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    change(project, "ranker", n_rounds=11)
    days = {f"2016-10-{day}" for day in (18, 19, 20)}
    with served(project) as ui, playwright.sync_playwright() as driver, page_in(driver, shots_in(tmp_path)) as page:
        before = makers(ui)
        assert unsynced(page, ui, "ranker")
        assert not unsynced(page, ui, "two_tower")
        launch_refresh(page, ui)
        made = {name for name, run in makers(ui).items() if before[name] != run}
        assert made == {"ranker"} | below("ranker"), "what was changed and what follows, and nothing else"
        assert not unsynced(page, ui, "ranker")

        page.goto(f"{ui.url}/assets/ranking_report")
        page.get_by_text("[Show Markdown]").first.click()  # Dagster opens longer texts and pictures on demand
        picture = page.locator("img[src^='data:image/png;base64,']").first
        picture.wait_for()
        assert picture.evaluate("picture => picture.naturalWidth") > 100
        page.screenshot(path=shots_in(tmp_path) / "picture.png")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Plots").click()
        page.locator("canvas").first.wait_for()
        page.wait_for_timeout(1_000)
        page.screenshot(path=shots_in(tmp_path) / "plots.png")

        write_log(project, [skip("a"), replace(skip("b"), received_at=skip().received_at + 2 * DAY_S)])
        launch_backfill(page, ui, "[2016-10-18...2016-10-20]")
        assert {one.parent.name for one in (project.lake / "artifacts/interactions").glob("*/CURRENT")} == days
        page.goto(f"{ui.url}/assets/interactions?view=partitions")
        page.get_by_text("Materialized (3)").wait_for()
