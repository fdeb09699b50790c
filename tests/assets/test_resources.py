"""Folders that the libraries cannot use are refused before anything is written anywhere."""

import os
from pathlib import Path

import pytest

from recsys_assets.resources import PROJECT, check_environment, dagster_home, lake_root
from recsys_core.errors import SettingsError


@pytest.fixture
def setenv(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("RECSYS_LAKE", "DAGSTER_HOME", "POLARS_MAX_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_an_empty_variable_is_none(setenv: pytest.MonkeyPatch) -> None:
    for name in ("RECSYS_LAKE", "DAGSTER_HOME"):
        setenv.setenv(name, "")
    assert lake_root() == PROJECT / "data_lake"
    assert dagster_home() == PROJECT / "data_lake" / "dagster"


def test_a_relative_home_of_dagster_is_meant_from_here(setenv: pytest.MonkeyPatch, tmp_path: Path) -> None:
    setenv.chdir(tmp_path)
    setenv.setenv("DAGSTER_HOME", "home")
    assert dagster_home() == tmp_path / "home"


@pytest.mark.parametrize("name", ["what?", "a%20b", "100%"])
def test_a_path_that_dagster_would_misread_is_refused_unless_dagster_lives_elsewhere(
    setenv: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    setenv.setenv("RECSYS_LAKE", str(tmp_path / name))
    assert lake_root() == tmp_path / name
    with pytest.raises(SettingsError, match=r"in its path, which Dagster cannot use: .* or set DAGSTER_HOME"):
        dagster_home()
    setenv.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    assert dagster_home() == tmp_path / "home"


@pytest.mark.parametrize(("name", "why"), [(b"caf\xe9", "is not UTF-8"), (b"a\nb", "has a control character")])
def test_a_path_that_is_no_text_is_refused(setenv: pytest.MonkeyPatch, tmp_path: Path, name: bytes, why: str) -> None:
    setenv.setenv("RECSYS_LAKE", os.fsdecode(bytes(tmp_path) + b"/" + name))
    with pytest.raises(SettingsError, match=why):
        lake_root()


def test_a_lake_that_is_a_file_is_refused(setenv: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    setenv.setenv("RECSYS_LAKE", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match="is a file: choose a folder"):
        lake_root()


@pytest.mark.parametrize("threads", ["0", "-1", "x", "\u0663", "9" * 5000])
def test_a_number_of_threads_that_polars_cannot_start_is_refused(setenv: pytest.MonkeyPatch, threads: str) -> None:
    setenv.setenv("POLARS_MAX_THREADS", threads)
    with pytest.raises(SettingsError, match="expected a whole number from 1 to 1024"):
        check_environment()


def test_a_usual_number_of_threads_passes(setenv: pytest.MonkeyPatch) -> None:
    check_environment()
    setenv.setenv("POLARS_MAX_THREADS", "8")
    check_environment()
