"""run, refresh, gc: what they do twice, what they print where, and how they fail; for ui see tests/end_to_end."""

from pathlib import Path

import pytest

from recsys_assets.checks.evaluation import report_counts_everybody
from tests.assets.edits import change
from tests.assets.projects import DATA_SET, Project
from tests.assets.refresh.test_planner import PARENTS, below
from tests.assets.test_publishing import materialize
from tests.conftest import Built


def test_the_first_run_builds_everything_and_shows_the_report(built: Built) -> None:
    answer = built.first
    assert answer.code == 0, answer.err
    for name in PARENTS:
        assert f"built {name} in " in answer.err
    assert f"Rebuilt {len(PARENTS)} assets" in answer.err
    assert "built" not in answer.out, "progress goes to standard error, results to standard output"
    assert "NDCG@10 by window" in answer.out
    assert "popularity" in answer.out
    assert "http://127.0.0.1:3000" in answer.out


def test_a_second_run_builds_nothing_and_says_so(built: Built) -> None:
    runs = n_runs(built.project)
    answer = built.project.recsys("run")
    assert answer.code == 0
    assert "nothing to rebuild" in answer.err
    assert "NDCG@10 by window" in answer.out
    assert n_runs(built.project) == runs, "no run of Dagster, hence no event"


def test_refresh_tells_scripts_what_it_built(built: Built) -> None:
    assert built.project.recsys("refresh", "--json").json() == {"built": []}


def test_the_plan_is_a_table_for_people(project: Project) -> None:
    change(project, "ranker", n_rounds=11)
    lines = project.recsys("refresh", "--plan").out.splitlines()
    named = [line.split()[0] for line in lines]
    assert named[:2] == ["asset", "ranker"]
    assert sorted(named[2:]) == sorted(below("ranker"))
    assert "parameters changed: n_rounds: 10 -> 11" in lines[1]


@pytest.mark.slow
def test_settings_that_differ_from_the_last_build_are_named(project: Project) -> None:
    """Before anything is built: a forgotten --settings trains everything anew."""
    note = "note: the last build had other settings (then -> now): "
    assert note not in project.recsys("refresh", "--plan").err
    project.settings.write_text("")
    plan = project.recsys("refresh", "--plan")
    assert note in plan.err
    assert "two_tower: dim: 8 -> 64" in plan.err
    assert f"This command uses {project.settings}" in plan.err
    assert "name their file: `recsys --settings FILE`" in plan.err


@pytest.mark.slow
def test_a_refresh_names_changed_settings_once_and_before_it_builds(project: Project) -> None:
    change(project, "eval_report", n_draws=110)
    said = project.recsys("refresh").err
    assert said.count("note: the last build had other settings (then -> now): eval_report: n_draws: 100 -> 110") == 1
    assert said.index("note:") < said.index("built eval_report")


@pytest.mark.slow
@pytest.mark.parametrize("command", [["run"], ["refresh"], ["refresh", "--plan"], ["status"]])
def test_without_the_data_set_one_sentence_says_how_to_get_it(tmp_path: Path, command: list[str]) -> None:
    project = Project.new(tmp_path / "project")
    (project.lake / "raw" / DATA_SET).unlink()
    answer = project.recsys(*command)
    assert f"restore {DATA_SET} from this project's repository" in answer.sentence


@pytest.mark.slow
def test_a_zip_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "project")
    mine = tmp_path / "mine.zip"
    mine.write_bytes(b"PK\x03\x04 and no more")
    change(project, "raw_data", dataset=str(mine))
    assert "mine.zip" in project.recsys("run").sentence


def n_runs(project: Project) -> int:
    """Dagster keeps a database per run."""
    return len(list((project.lake / "dagster" / "history" / "runs").glob("*-*.db")))


@pytest.mark.slow
def test_after_a_failed_check_nobody_says_that_all_is_up_to_date(project: Project) -> None:
    project.edit(report_counts_everybody, before="agree and whole and not missing", after="False")
    change(project, "eval_report", n_draws=110)
    assert project.recsys("refresh").code == 1
    plan = project.recsys("refresh", "--plan")
    assert "up to date" not in plan.out
    warning = "report_counts_everybody of eval_report did not pass, so nothing is built on it"
    assert warning in plan.err
    assert project.recsys("refresh", "--plan", "--json").json() == {}
    rows = {row["asset"]: row for row in project.recsys("status", "--json").json()["artifacts"]}
    assert rows["eval_report"]["failed_checks"] == ["report_counts_everybody"]
    assert rows["ranker"]["failed_checks"] == []
    status = project.recsys("status")
    assert warning in status.err
    assert "did not pass: report_counts_everybody" in " ".join(status.out.split())


@pytest.mark.slow
def test_old_versions_go_and_what_is_current_stays(project: Project) -> None:
    before = project.versions()
    for n_rounds in (7, 8, 10):
        assert project.call(materialize, "ranker", f'{{"n_rounds": {n_rounds}}}').code == 0
    assert project.versions() == before
    kept = project.recsys("gc", "--json").json()  # the current one is the oldest, and two more are kept
    assert kept == {"versions": [], "bytes": 0, "swept": []}
    freed = project.recsys("gc", "--keep-last", "0", "--json").json()
    assert len(freed["versions"]) == 2
    assert all(one.startswith("ranker/") for one in freed["versions"])
    assert freed["bytes"] > 0
    assert project.versions() == before
    assert project.plan() == {}
    assert project.recsys("recommend", "--user", "1").code == 0
    assert "Removed 0 versions (0.0 MB)" in project.recsys("gc").out
