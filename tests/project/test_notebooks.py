"""Every notebook is short, calls only public functions, and runs as a plain script."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_assets.resources import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.py"))
MAX_LINES = 140


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_data_and_its_biases", "02_two_tower_retrieval"]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_without_a_warning_and_its_pictures_are_saved_in_the_lake(notebook: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    environment = os.environ | {
        "MPLBACKEND": "Agg",
        "RECSYS_LAKE": str(tmp_path / "lake"),
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-W", "error", str(notebook)]
    run = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout
    assert not list(work.iterdir()), "the folder that one happens to be in"
    text, saved = notebook.read_text(encoding="utf-8"), sorted((tmp_path / "lake" / "pictures").glob("*.png"))
    assert len(saved) == text.count("plt.savefig(") == text.count("plt.figure(") + text.count("plt.subplots(") > 0
    assert all(path.stat().st_size > 5_000 for path in saved), "an empty picture"
    assert "plt.show()" in text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_short_and_in_cells(notebook: Path) -> None:
    text = notebook.read_text(encoding="utf-8")
    assert len(text.splitlines()) < MAX_LINES
    assert text.count("# %% [markdown]") >= 3


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_defines_nothing_and_uses_nothing_private(notebook: Path) -> None:
    tree = ast.parse(notebook.read_text(encoding="utf-8"))
    defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
    assert not defined
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not [name for name in used if name.startswith("_")]
