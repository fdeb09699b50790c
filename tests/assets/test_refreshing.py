"""A refresh beside edits, failures and kills. What one makes after which edit is in `test_minimal_rerun`."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys_core.lake.store import Lake
from tests.assets.edits import DAY, HEAD, SKIPS, change
from tests.assets.observing import see
from tests.assets.projects import Project
from tests.assets.test_planning import PARENTS, certain, skip, write_log
from tests.source_edits import append


@pytest.mark.slow
def test_code_edited_during_a_refresh_is_stale_after_it(project: Project) -> None:
    change(project, "ranker", n_rounds=11)
    answer = project.call(edit_then_refresh, str(project.source))
    assert answer.code == 0, answer.err
    assert certain(project.plan()) == {"ranking_report": ["code changed"]}


def edit_then_refresh(source: str) -> None:
    """A process that has loaded its code when somebody else saves an edit."""
    import recsys_assets.definitions  # noqa: F401  # loads what the refresh will judge by
    from recsys_core.ranking import report
    from tests.assets.projects import _command_line

    append(Path(source), report, "ADDED = 1")
    _command_line("recsys", "refresh")


@pytest.mark.slow
def test_a_log_that_grows_during_a_refresh_is_read_again_by_the_same_refresh(project: Project) -> None:
    write_log(project, SKIPS[:1])
    project.refresh()
    write_log(project, SKIPS)
    answer = project.call(refresh_while_the_log_grows)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out) == [[DAY], [HEAD], [DAY], [HEAD]]
    assert project.manifest(DAY)["lineage"]["facts"]["accepted"] == 3
    assert project.plan() == {}


def refresh_while_the_log_grows() -> None:
    """Prints the waves; an old day gets another event when it has just been read."""
    waves = []

    def tell(lake: Any, wave: list[str]) -> None:
        waves.append(wave)
        if len(waves) == 2:
            with lake.open_log() as log:
                log.append(events=[skip("c", item=3)])

    refresh_and_tell(tell)
    print(json.dumps(waves))  # noqa: T201


def refresh_and_tell(tell: Callable[[Any, list[str]], None]) -> None:
    """A refresh that tells of each wave before it is built."""
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refreshing import refresh
    from recsys_assets.resources import LakeResource, lake_root

    lake = LakeResource(root=str(lake_root()))
    with instance() as opened:
        refresh(defs.get_repository_def(), lake, opened, tell=lambda wave, _plan: tell(lake, wave))


def test_a_refresh_that_was_killed_between_two_waves_is_gone_on_with(project: Project) -> None:
    change(project, "past_requests", k=9)
    assert project.call(die_before_the_second_wave).code == -signal.SIGKILL
    seen = see(project)
    assert seen.plan == {"parity_report": ["input past_requests changed"]}
    assert seen.ui == seen.ui_told == {"parity_report": ["past_requests has a new data version"]}
    assert seen.materialized == ["parity_report"]
    assert seen.published == {"parity_report"}
    assert seen.plan_after == seen.ui_after == {}


def die_before_the_second_wave() -> None:
    """A kill that nothing can prepare for."""
    told = []

    def tell(_lake: object, wave: list[str]) -> None:
        told.append(wave)
        if len(told) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    refresh_and_tell(tell)


def test_what_was_published_by_a_killed_run_is_noted_by_the_next_refresh(project: Project) -> None:
    change(project, "past_requests", k=9)
    assert project.call(die_between_publishing_and_noting, "past_requests").code == -signal.SIGKILL
    seen = see(project)
    assert seen.plan == {"parity_report": ["input past_requests changed"]}
    assert seen.ui == {"past_requests": ["has a new code version"]}, "Dagster knows the older one alone"
    assert seen.ui_told == {"parity_report": ["past_requests has a new data version"]}
    assert seen.materialized == ["parity_report"]
    assert seen.plan_after == seen.ui_after == {}


def die_between_publishing_and_noting(asset: str) -> None:
    """An asset tells that it is done once it is in the lake, and returns to Dagster after that."""

    class Die(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith(f"{asset} in "):
                os.kill(os.getpid(), signal.SIGKILL)

    logger = logging.getLogger("recsys.progress")
    logger.setLevel(logging.INFO)
    logger.addHandler(Die())
    refresh_and_tell(lambda _lake, _wave: None)


@pytest.mark.slow
def test_a_lost_event_log_is_noted_again_and_nothing_is_rebuilt(project: Project) -> None:
    (project.lake / "dagster").rename(project.root / "away")
    seen = see(project)
    assert seen.plan == {}
    assert seen.ui == {name: ["never materialized"] for name in PARENTS}
    assert seen.ui_told == {}
    assert seen.materialized == []
    assert seen.published == set()
    assert seen.plan_after == seen.ui_after == {}


def test_a_refresh_without_work_leaves_no_trace(project: Project) -> None:
    before = project.call(print_last_event).out
    assert project.refresh() == []
    assert project.call(print_last_event).out == before


def print_last_event() -> None:
    """The number of Dagster's latest event."""
    from recsys_assets.instance import instance

    with instance() as opened:
        print(opened.event_log_storage.get_maximum_record_id())  # noqa: T201


def test_an_asset_that_a_trial_left_red_is_green_after_a_refresh_that_has_nothing_to_do(project: Project) -> None:
    before, after = json.loads(project.call(fail_a_trial_then_refresh).out)
    assert before > 0, "the latest run failed after the latest materialization, which the UI shows in red"
    assert after < 0
    assert project.plan() == {}


def fail_a_trial_then_refresh() -> None:
    """By how many seconds the failed trial ended after the latest materialization, before and after a refresh."""
    import dagster as dg

    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.jobs import QUIET

    def lead(opened: dg.DagsterInstance) -> float:
        made = opened.get_latest_materialization_event(dg.AssetKey("raw_data"))
        ended = opened.get_run_record_by_id(trial.run_id)
        assert made
        assert ended
        return float(ended.end_time or 0) - made.timestamp

    with instance() as opened:
        trial = (
            defs.get_repository_def()
            .get_implicit_global_asset_job_def()
            .execute_in_process(
                instance=opened,
                asset_selection=[dg.AssetKey("raw_data")],
                run_config={**QUIET, "ops": {"raw_data": {"config": {"dataset": "none-such"}}}},
                raise_on_error=False,
            )
        )
        before = lead(opened)
        refresh_and_tell(lambda _lake, _wave: None)
        print(json.dumps([before, lead(opened)]))  # noqa: T201


def test_a_failed_asset_leaves_the_rest_as_it_was(project: Project) -> None:
    from recsys_core.ranking.ranker import fit_ranker

    before = project.versions()
    project.edit(
        fit_ranker,
        before='rank = pl.col("pair_retrieval_rank").cast(pl.Int64)',
        after='raise DataError("no [/luck]: try again")',
    )
    answer = project.recsys("refresh")
    assert answer.sentence == "recsys: no [/luck]: try again"
    assert project.versions() == before


@pytest.mark.slow
def test_content_that_was_stored_unreadable_is_rebuilt_as_its_error_says(project: Project) -> None:
    lake = Lake(project.lake)
    now = lake.current("faiss_index")
    assert now

    def write_garbage(folder: Path) -> None:
        for name in now.files:
            (folder / name).write_bytes(b"garbage")

    lake.publish("faiss_index", write_garbage, now.lineage)
    assert "faiss_index" not in project.plan(), "its hashes are right"
    said = project.recsys("recommend", "--user", "1").sentence
    assert "run `recsys refresh` to build it again; if nothing is out of date, delete this version's folder" in said
    shutil.rmtree(lake.open("faiss_index"))
    assert project.refresh() == ["faiss_index"]
    assert project.manifest("faiss_index")["version"] == now.version
    assert project.recsys("recommend", "--user", "1").code == 0


@pytest.mark.slow
def test_ctrl_c_is_one_sentence_and_the_next_refresh_goes_on(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "project")
    command = [sys.executable, "-m", "recsys_assets.cli", "refresh"]
    with subprocess.Popen(
        command, env=project.environment, cwd=project.root, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert said.strip().endswith("what was published is safe, and `recsys refresh` goes on from there")
    assert "Traceback" not in said
    assert first.split()[1] not in project.plan()
    assert "eval_report" in project.plan()
