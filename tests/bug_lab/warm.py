"""A process that has imported the heavy libraries and forks a child for each run of tests: run as a script.

The libraries take four seconds to import and a run of one test takes one. Of the project nothing is imported here, so
that a child sees the sources below the folder that it is told, and no others. A request is a line of JSON with `root`,
`tests` and `out`; the answer is a line too, once the outcomes stand in the file `out`.
"""

import faulthandler
import importlib
import json
import os
import sys
from pathlib import Path

import pytest

HEAVY = (
    "faiss", "hypothesis.extra.numpy", "ir_measures", "pandera.polars", "polars", "pyarrow.parquet", "pytrec_eval",
    "safetensors.torch", "scipy.sparse", "threadpoolctl", "torch", "xgboost", "dagster", "typer", "rich.console",
)  # fmt: skip
"""What the tests of the laboratory and the code below them import."""

LIMIT = 300
"""Seconds after which a run is stopped; its log then ends with the stacks of all threads. All named tests at once take
one minute on a free core."""


class Recorder:
    """Notes for every test what stopped it: '' for a pass, else the name of the exception."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        report: pytest.TestReport = yield
        stopped = type(call.excinfo.value).__name__ if call.excinfo and not report.passed else ""
        self.outcomes[item.nodeid] = self.outcomes.get(item.nodeid) or stopped
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.outcomes[report.nodeid] = "could not be collected"


def run(root: str, tests: list[str], out: str) -> None:
    """Run tests of the copy, in this process, which ends with it."""
    os.chdir(root)
    sys.path[:] = [root, *(entry for entry in sys.path if entry not in {"", str(Path(__file__).parent)})]
    recorder = Recorder()
    log = os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    faulthandler.dump_traceback_later(LIMIT, exit=True, file=log)
    pytest.main(
        ["--quiet", "--tb=short", "-p", "no:cacheprovider", "-p", "no:faulthandler", *tests], plugins=[recorder]
    )
    sys.stdout.flush()
    Path(out).write_text(json.dumps(recorder.outcomes), encoding="utf-8")


def main() -> None:
    """Serve requests until standard input ends."""
    for name in HEAVY:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
            os._exit(0)
        os.waitpid(child, 0)
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
