"""Sensors as the daemon runs them, switched on as in the UI."""

import sys
from typing import Any

import pytest

from tests.assets.edits import change
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import below, skip, write_log
from tests.end_to_end.served import Served, said, served, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs flock between processes")]

DAY = "2016-10-18"
SWITCH_ON = """
mutation on($sensor: String!) {
  startSensor(sensorSelector: {
    repositoryLocationName: "recsys_assets.definitions", repositoryName: "__repository__", sensorName: $sensor
  }) { __typename }
}
"""
RELOAD = """
mutation { reloadRepositoryLocation(repositoryLocationName: "recsys_assets.definitions") { __typename } }
"""
TICKS = """
query ticks($sensor: String!) {
  sensorOrError(sensorSelector: {
    repositoryLocationName: "recsys_assets.definitions", repositoryName: "__repository__", sensorName: $sensor
  }) { ... on Sensor { sensorState { ticks { status error { message } } } } }
}
"""
VERSIONS = "{ assetNodes { assetKey { path } assetMaterializations { runId } } }"


def switch_on(ui: Served, sensor: str) -> None:
    assert ui.ask(SWITCH_ON, sensor=sensor)["startSensor"]["__typename"] == "Sensor"


def ticks(ui: Served, sensor: str) -> list[dict[str, Any]]:
    """The evaluations of a sensor, latest first."""
    found: list[dict[str, Any]] = ui.ask(TICKS, sensor=sensor)["sensorOrError"]["sensorState"]["ticks"]
    return found


def n_made(ui: Served) -> dict[str, int]:
    """How often each asset was made."""
    return {node["assetKey"]["path"][0]: len(node["assetMaterializations"]) for node in ui.ask(VERSIONS)["assetNodes"]}


def more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Which assets were made since, and how often."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_changed_settings_and_new_days_become_runs_once_switched_on(project: Project) -> None:
    change(project, "ranker", n_rounds=11)
    write_log(project, [skip()])
    with served(project) as ui:
        before = n_made(ui)

        def why() -> str:
            found = {name: ticks(ui, name) for name in ("rerun_when_stale", "new_feedback_arrived")}
            return f"made {more(before, n_made(ui))}, ticks {found}, runs {ui.runs()}: {said(project)}"

        switch_on(ui, "rerun_when_stale")
        wait_until(lambda: any(tick["status"] != "STARTED" for tick in ticks(ui, "rerun_when_stale")), 150, why)
        assert more(before, n_made(ui)) == {}, "neither switched on nor news: the settings were so before"

        switch_on(ui, "new_feedback_arrived")
        expected = {"interactions": 1, "interaction_log_head": 1}
        wait_until(lambda: more(before, n_made(ui)) == expected, 300, why)

        change(project, "faiss_index", n_probe=9)
        assert ui.ask(RELOAD)["reloadRepositoryLocation"]["__typename"] == "WorkspaceLocationEntry"
        expected |= dict.fromkeys({"faiss_index"} | below("faiss_index"), 1)
        wait_until(lambda: more(before, n_made(ui)) == expected, 300, why)
        wait_until(lambda: {run["status"] for run in ui.runs().values()} == {"SUCCESS"}, 60, why)
        assert not [
            tick for name in ("rerun_when_stale", "new_feedback_arrived") for tick in ticks(ui, name) if tick["error"]
        ]
    assert project.plan().keys() == {"ranker"} | below("ranker"), "left to the job refresh"
