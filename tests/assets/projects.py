"""A project in a temporary folder: a copy of the sources, a lake, settings; and the ways to ask it something.

The sources are copied so that a test may edit them, and so that edits to the checkout during a test run cannot make
the lake stale. Every question is asked of a fresh process, which imports that copy. The processes are forked from one
that has imported Dagster already, since that takes longer than all the rest of most commands.
"""

import atexit
import importlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.source_edits import REPOSITORY, copy_packages, edit

DATA_SET = "ml-latest-small-2016.zip"
SMOKE = "recsys_assets/presets/smoke.yaml"

_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(
    ["dagster", "typer", "rich.console", "pandera.polars", "alembic", "sqlalchemy.orm", "dagster_graphql.test.utils"]
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a process said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output as strict JSON: nothing else may stand there, and no NaN."""
        assert self.code == 0, self.err
        return json.loads(self.out, parse_constant=_refuse)

    @property
    def sentence(self) -> str:
        """The one line of a refusal."""
        lines = self.err.strip().splitlines()
        assert self.code == 1, (self.code, self.err)
        assert "Traceback" not in self.err
        assert lines, "a refusal without a word"
        assert lines[-1].startswith("recsys: "), self.err
        return lines[-1]


@dataclass(frozen=True, kw_only=True)
class Project:
    """Sources, lake and settings."""

    root: Path

    @property
    def source(self) -> Path:
        """The folder that holds recsys_core and recsys_assets."""
        return self.root / "source"

    @property
    def lake(self) -> Path:
        """The lake, Dagster's home within."""
        return self.root / "lake"

    @property
    def settings(self) -> Path:
        """The settings file, to be edited freely."""
        return self.root / "settings.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this project has in its environment."""
        kept = {name: value for name, value in os.environ.items() if name not in ("DAGSTER_HOME", "FORCE_COLOR")}
        ours = {"RECSYS_LAKE": self.lake, "RECSYS_SETTINGS": self.settings, "PYTHONPATH": self.source}
        return kept | {name: str(path) for name, path in ours.items()} | {"COLUMNS": "200"}

    @classmethod
    def new(cls, root: Path) -> "Project":
        """The sources of the checkout, the embedded data set, the smoke settings, nothing built."""
        project = cls(root=root)
        shutil.copytree(_compiled_sources(), project.source)
        (project.lake / "raw").mkdir(parents=True)
        shutil.copy(REPOSITORY / "data_lake" / "raw" / DATA_SET, project.lake / "raw")
        shutil.copy(project.source / SMOKE, project.settings)
        return project

    def copy(self, root: Path) -> "Project":
        """The same in another folder; what it then does to itself does not show here."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        return replace(self, root=root)

    def recsys(self, *arguments: str) -> Answer:
        """Run the command line in a forked process."""
        return self.call(_command_line, "recsys", *arguments)

    def call(self, function: Callable[..., None], *arguments: str) -> Answer:
        """Run a function of a module of tests in a forked process; what it imports of ours is the project's."""
        said = Path(tempfile.mkdtemp(prefix="said-", dir=self.root))
        out, err = said / "out.txt", said / "err.txt"
        settled = (str(self.source), self.environment, str(out), str(err))
        process = _warm.Process(target=_in_child, args=(settled, function.__module__, function.__name__, arguments))
        process.start()
        process.join()
        assert process.exitcode is not None
        return Answer(code=process.exitcode, out=out.read_text(), err=err.read_text())

    def subprocess(self, *arguments: str) -> Answer:
        """Run Python as a shell would start it."""
        return self.process(sys.executable, *arguments)

    def process(self, *command: str, **environment: str) -> Answer:
        """Run a command in the folder of the project, with nothing to read, and with further variables."""
        done = subprocess.run(
            command,
            env=self.environment | environment,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    def plan(self) -> dict[str, list[str]]:
        """Why each stale artifact would be rebuilt."""
        found: dict[str, list[str]] = self.recsys("refresh", "--plan", "--json").json()
        return found

    def refresh(self) -> list[str]:
        """Rebuild; returns what was built, in order."""
        built: list[str] = self.recsys("refresh", "--json").json()["built"]
        return built

    def edit(self, where: object, before: str, after: str) -> None:
        """Change one place of a definition, as `source_edits.edit` does."""
        edit(self.source, where, before, after)

    def manifest(self, asset: str) -> dict[str, Any]:
        """How the current version of an artifact was made, as its pointer says."""
        made: dict[str, Any] = json.loads((self.lake / "artifacts" / asset / "CURRENT").read_text())["body"]["made"]
        return made

    def versions(self) -> dict[str, str]:
        """The current version of every artifact."""
        pointers = (self.lake / "artifacts").rglob("CURRENT")
        names = sorted(str(path.parent.relative_to(self.lake / "artifacts")) for path in pointers)
        return {name: self.manifest(name)["version"] for name in names}

    def folder(self, asset: str) -> Path:
        """The files of the current version of an artifact."""
        return self.lake / "artifacts" / asset / str(self.manifest(asset)["version"])


@cache
def _compiled_sources() -> Path:
    """The packages, copied and compiled once in a process of tests."""
    copy = Path(tempfile.mkdtemp(prefix="sources-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy_packages(("recsys_core", "recsys_assets"), copy)
    return copy


def _in_child(
    settled: tuple[str, dict[str, str], str, str], module: str, function: str, arguments: tuple[str, ...]
) -> None:
    source, environment, out, err = settled
    for descriptor, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(Path(source).parent)
    sys.path.insert(0, source)
    # Only now: what its module imports of ours must come from the project, not from the checkout.
    getattr(importlib.import_module(module), function)(*arguments)


def _command_line(*arguments: str) -> None:
    sys.argv = list(arguments)
    from recsys_assets.cli import main

    main()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
