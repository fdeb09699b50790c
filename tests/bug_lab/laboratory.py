"""A copy of the sources in which faults can be injected, and tests be run against them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bug_lab.fault import Fault
from tests.source_edits import REPOSITORY, copy_packages

CHANGED = ("recsys_core", "recsys_assets", "benchmarks")
"""What faults are put into."""
BESIDE = ("tests", "docs", "pyproject.toml", "data_lake/raw")
"""What is copied with them."""


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """A folder with the copy, and the process that runs its tests."""

    root: Path
    process: "subprocess.Popen[str]"

    @classmethod
    @contextmanager
    def opened(cls, root: Path) -> "Iterator[Laboratory]":
        """A laboratory below an empty folder, for the time of the block."""
        copy_packages(CHANGED, root)
        for name in BESIDE:
            copy_of(REPOSITORY / name, root / name)
        # Plugins that load by themselves want to be imported by pytest, and the process has imported some already.
        ours = {"PYTHONPATH": "", "PYTHONWARNINGS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        ours |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | ours
        command = [sys.executable, str(Path(__file__).with_name("warm.py"))]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=root
        ) as process:
            try:
                yield cls(root=root, process=process)
            finally:
                process.kill()

    @contextmanager
    def patched(self, fault: Fault) -> Iterator[None]:
        """The fault is in the copy for the time of the block."""
        good = fault.inject(self.root)
        try:
            yield
        finally:
            (self.root / fault.file).write_text(good, encoding="utf-8")

    def run(self, tests: Iterable[str]) -> dict[str, str]:
        """What stopped each test, by node id: '' for a pass, else the name of the exception.

        A run without outcomes is repeated once: it forks a process, and tests in it fork again, below libraries with
        threads of their own, so that a child can hang for a reason that is none of the fault's.
        """
        named = list(tests)
        return self._outcomes(named) or self._outcomes(named) or pytest.fail(f"the run did not end:\n{self.log()}")

    def _outcomes(self, tests: list[str]) -> dict[str, str]:
        """The outcomes of one run; empty where it did not come to its end."""
        out = self.root / "outcomes.json"
        out.unlink(missing_ok=True)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"root": str(self.root), "tests": tests, "out": str(out)}) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n", "the process that runs the tests is gone"
        outcomes: dict[str, str] = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
        return outcomes

    def log(self) -> str:
        """The end of what pytest said in the last run."""
        return (self.root / "outcomes.json.log").read_text(encoding="utf-8", errors="replace")[-3000:]


def copy_of(source: Path, to: Path) -> None:
    """Copy a file or a folder, without what Python has compiled."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, to)


def of_test(outcomes: dict[str, str], test: str) -> list[str]:
    """The outcomes of one named test, of all its cases where it has several."""
    return [stopped for node, stopped in outcomes.items() if node == test or node.startswith(f"{test}[")]
