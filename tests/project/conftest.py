"""What the tests of the project's own rules share: the files, and a lake whose results are current."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_assets.resources import PROJECT
from recsys_core.data.movielens.sources import EMBEDDED


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that git keeps."""
    if not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout, so that nobody can tell which files belong to the project")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
    return [PROJECT / name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()]


@pytest.fixture(scope="session")
def current_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with nothing out of date: the one in use where it is such, otherwise one built here.

    A lake that was built with a settings file has other figures, and is not taken.
    """
    from recsys_assets.resources import lake_root

    if "RECSYS_SETTINGS" not in os.environ and (lake_root() / "artifacts").is_dir() and _is_current(lake_root()):
        return lake_root()
    built = tmp_path_factory.mktemp("current") / "lake"
    (built / "raw").mkdir(parents=True)
    shutil.copy(PROJECT / "data_lake" / "raw" / f"{EMBEDDED}.zip", built / "raw")
    _recsys(built, "refresh")
    return built


def _is_current(lake: Path) -> bool:
    # In a process of its own, as settings and asset specs of this one may have been changed by other tests.
    return _recsys(lake, "refresh", "--plan", "--json").strip() == "{}"


def _recsys(lake: Path, *arguments: str) -> str:
    ours = ("RECSYS_", "DAGSTER_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "recsys_assets.cli", "--lake", str(lake), *arguments]
    made = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout
