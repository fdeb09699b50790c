"""Two trainings never compete, however each was started."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recsys_assets.definitions import defs
from recsys_assets.pools import REFRESH, TRAINING, hold
from tests.assets.edits import change
from tests.assets.projects import Project

fork = multiprocessing.get_context("forkserver")


def hold_for_long(root: str, pool: str, ready: Any) -> None:
    """A process in the middle of a training, or of a refresh."""
    with hold(Path(root), pool, lambda: None):
        ready.set()
        time.sleep(60)


@pytest.mark.slow
def test_a_pool_is_held_by_one_process_and_released_by_its_death(tmp_path: Path) -> None:
    ready, waited = fork.Event(), []
    process = fork.Process(target=hold_for_long, args=(str(tmp_path), TRAINING, ready))
    process.start()
    assert ready.wait(30)
    with hold(tmp_path, "another", lambda: waited.append("another")):
        pass
    assert waited == []

    def release() -> None:
        waited.append("training")
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)

    with hold(tmp_path, TRAINING, release):
        assert waited == ["training"], "the holder was alive until then"
    process.join()


def test_an_error_within_releases_the_pool(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="at work"), hold(tmp_path, TRAINING, pytest.fail):
        raise RuntimeError("at work")
    with hold(tmp_path, TRAINING, pytest.fail):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (TRAINING, "baselines waits: another process of this machine holds the pool training"),
        (REFRESH, "waiting: another refresh of this lake is at work"),
    ],
)
def test_a_refresh_says_that_it_waits_and_goes_on_after_it(project: Project, pool: str, said: str) -> None:
    change(project, "baselines", n_trials=2)
    ready = fork.Event()
    process = fork.Process(target=hold_for_long, args=(str(project.lake), pool, ready))
    process.start()
    assert ready.wait(30)
    command = [sys.executable, "-m", "recsys_assets.cli", "refresh"]
    with subprocess.Popen(
        command, env=project.environment, cwd=project.root, stderr=subprocess.PIPE, text=True
    ) as refresh:
        assert refresh.stderr is not None
        heard = any(line.strip() == said for line in islice(refresh.stderr, 8))  # behind lines of progress
        process.kill()
        rest = refresh.stderr.read()
    process.join()
    assert heard
    assert refresh.returncode == 0, rest
    assert "built baselines" in rest


def test_what_trains_is_in_the_pool_of_training() -> None:
    pools = {
        next(iter(asset.keys)).to_user_string(): asset.op.pool
        for asset in defs.assets or ()
        if isinstance(asset, dg.AssetsDefinition) and not isinstance(asset, dg.AssetChecksDefinition)
    }
    assert {name for name, pool in pools.items() if pool == TRAINING} == {"two_tower", "ranker", "baselines"}
    assert set(pools.values()) == {TRAINING, None}


def test_a_refresh_holds_a_pool_that_none_of_its_waves_needs() -> None:
    """Otherwise a wave would wait for its own parent, for ever, where pools hold single steps."""
    (node,) = defs.resolve_job_def("refresh").nodes
    assert node.definition.pool == REFRESH  # type: ignore[attr-defined]
