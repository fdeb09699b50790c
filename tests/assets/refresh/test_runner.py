"""A refresh during edits, failures and kills; and backfills of log days, one day or many per run, with equal tables.

What a refresh rebuilds after which edit is in `test_minimal_rerun`.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys_core.days import DAY_S
from recsys_core.feedback.records import Event
from recsys_core.lake.store import Lake
from tests.assets.edits import DAY, HEAD, SKIPS, change
from tests.assets.observing import see
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import PARENTS, certain, click, rating, skip, write_log
from tests.source_edits import append

DAYS = ["2016-10-18", "2016-10-19", "2016-10-20", "2016-10-21"]


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

    append(Path(source), report, "[].append(1)")
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
    from recsys_assets.refresh.runner import refresh
    from recsys_assets.resources import LakeResource, lake_root

    lake = LakeResource(root=str(lake_root()))
    with instance() as opened:
        refresh(defs.get_repository_def(), lake, opened, on_wave=lambda wave, _plan: tell(lake, wave))


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_refresh_without_work_leaves_no_trace(project: Project) -> None:
    before = project.call(print_last_event).out
    assert project.refresh() == []
    assert project.call(print_last_event).out == before


def print_last_event() -> None:
    """The number of Dagster's latest event."""
    from recsys_assets.instance import instance

    with instance() as opened:
        print(opened.event_log_storage.get_maximum_record_id())  # noqa: T201


@pytest.mark.slow
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
    from recsys_assets.runs import QUIET

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
    assert said.strip().endswith("what was published is safe, and `recsys refresh` continues from there")
    assert "Traceback" not in said
    assert first.split()[1] not in project.plan()
    assert "eval_report" in project.plan()


@pytest.fixture
def bare(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project without artifacts: days of the log need none."""
    return Project.new(tmp_path_factory.mktemp("bare") / "project")


def on_day(n: int, one: Event) -> Event:
    return replace(one, timestamp=one.timestamp + n * DAY_S, received_at=one.received_at + n * DAY_S)


def write_days(project: Project, *more: Event) -> None:
    """Three days with a silent one between them; an event of the first arrives with the last."""
    late = replace(on_day(3, click("late", item=9)), timestamp=click().timestamp)
    write_log(project, [click("a"), on_day(1, rating("b", item=2)), on_day(3, click("c", item=3)), late, *more])


def days_of(project: Project) -> dict[str, str]:
    """Day -> version of every ingested day."""
    return {
        one.name: json.loads((one / "CURRENT").read_text())["body"]["made"]["version"]
        for one in (project.lake / "artifacts/interactions").iterdir()
    }


def runs_of(project: Project) -> list[list[str]]:
    """Which days each run made, oldest run first."""
    found: list[list[str]] = project.call(print_runs).json()
    return found


def print_runs() -> None:
    """Read in a process of the project."""
    import dagster as dg

    from recsys_assets.instance import instance

    with instance() as dagster:
        records = dagster.fetch_materializations(dg.AssetKey("interactions"), limit=1000, ascending=True).records
        by_run: dict[str, list[str]] = {}
        for one in records:
            by_run.setdefault(one.run_id, []).append(str(one.partition_key))
    print(json.dumps(list(by_run.values())))  # noqa: T201


def print_rows() -> None:
    """Day -> what Dagster shows of its latest materialization, in a process of the project."""
    import dagster as dg

    from recsys_assets.instance import instance

    with instance() as dagster:
        records = dagster.fetch_materializations(dg.AssetKey("interactions"), limit=1000, ascending=True).records
        told = {}
        for one in records:
            materialization = one.asset_materialization
            assert materialization is not None
            metadata = materialization.metadata
            told[str(one.partition_key)] = [metadata["dagster/row_count"].value, metadata["version"].value]
    print(json.dumps(told))  # noqa: T201


@pytest.mark.slow
def test_a_range_is_one_run_with_a_row_count_and_a_version_of_each_day(bare: Project) -> None:
    write_days(bare)
    assert bare.recsys("backfill", DAYS[0], DAYS[-1], "--json").json() == {"days": DAYS}
    assert runs_of(bare) == [DAYS]
    versions = days_of(bare)
    assert versions.keys() == set(DAYS)
    told = bare.call(print_rows).json()
    assert {day: rows for day, (rows, _) in told.items()} == dict(zip(DAYS, [1, 1, 0, 2], strict=True))
    assert {day: version for day, (_, version) in told.items()} == {day: one[:12] for day, one in versions.items()}


@pytest.mark.slow
def test_one_run_for_all_days_and_a_run_for_each_make_the_same_tables(bare: Project) -> None:
    write_days(bare)
    for day in DAYS:
        assert bare.recsys("backfill", day).code == 0
    one_by_one = days_of(bare)
    assert runs_of(bare) == [[day] for day in DAYS]
    assert bare.recsys("backfill", DAYS[0], DAYS[-1]).code == 0
    assert days_of(bare) == one_by_one, "and a day that is read again comes out the same"


@pytest.mark.slow
def test_a_refresh_reads_each_stretch_of_new_days_in_one_run(project: Project) -> None:
    write_days(project)
    built = project.refresh()
    assert built[:3] == [f"interactions/{day}" for day in (DAYS[0], DAYS[1], DAYS[3])]
    assert runs_of(project) == [DAYS[:2], DAYS[3:]]


@pytest.mark.slow
def test_gaps_are_told_until_the_days_are_ingested(bare: Project) -> None:
    assert "no gaps" in bare.recsys("log", "gaps").out
    write_days(bare)
    told = bare.recsys("log", "gaps", "--json").json()
    assert [(one["first"], one["last"], one["what"]) for one in told] == [
        (DAYS[0], DAYS[1], "not ingested"),
        (DAYS[2], DAYS[2], "nothing arrived"),
        (DAYS[3], DAYS[3], "not ingested"),
    ]
    assert bare.recsys("backfill", DAYS[0], DAYS[-1]).code == 0
    write_log(bare, [rating("new")])
    shown = bare.recsys("log", "gaps").out
    assert "changed since it was ingested" in shown
    assert "not ingested" not in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("days", "said"),
    [
        (("2016-10-20", "2016-10-19"), "2016-10-20 comes after 2016-10-19: give the earlier day first"),
        (("2016-09-01", "2016-10-19"), "2016-09-01 lies before 2016-09-17, when the log begins: start there"),
        (("2016-10-18", "2999-01-01"), "2999-01-01 is not closed yet, so that events may still arrive on it: end at"),
        (("18.10.2016",), "'18.10.2016' is not a day: write it as YYYY-MM-DD"),
    ],
)
def test_a_range_that_is_none_is_refused_with_the_remedy(bare: Project, days: tuple[str, ...], said: str) -> None:
    assert f"recsys: {said}" in bare.recsys("backfill", *days).sentence


@pytest.mark.slow
def test_a_day_of_rubbish_stops_the_range_and_what_was_read_before_it_stays(bare: Project) -> None:
    bare.settings.write_text("interactions:\n  max_bad_share: 0.1\n")
    write_days(bare, on_day(1, click("b", item=4)))  # another event of that day's id "b"
    assert "2016-10-19: 1 of 2 events are rejected" in bare.recsys("backfill", DAYS[0], DAYS[-1]).sentence
    assert days_of(bare).keys() == {DAYS[0]}
