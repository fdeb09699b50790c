"""The same inputs and code give the same bytes, so that a version means something."""

from pathlib import Path

import pytest

from tests.assets.projects import Project
from tests.conftest import Built


@pytest.mark.slow
def test_two_lakes_built_from_scratch_hold_the_same_versions(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "12345")  # the order of sets differs from the first
    second = Project.new(tmp_path / "second")
    answer = second.subprocess("-m", "recsys_assets.cli", "refresh", "--json")
    assert set(answer.json()["built"]) == built.project.versions().keys()
    assert second.versions() == built.project.versions()
