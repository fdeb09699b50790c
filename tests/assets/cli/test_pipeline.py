"""run, refresh, status: what they do twice, what they print where, and how they fail."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys_assets.checks.evaluation import report_counts_everybody
from tests.assets.edits import change
from tests.assets.projects import DATA_SET, Project
from tests.assets.refresh.test_planner import PARENTS, below
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
    assert f"Those of {project.settings} hold now" in plan.err
    assert "name their file: `recsys --settings FILE`" in plan.err


@pytest.mark.slow
def test_a_refresh_names_changed_settings_once_and_before_it_builds(project: Project) -> None:
    change(project, "eval_report", n_draws=110)
    said = project.recsys("refresh").err
    assert said.count("note: the last build had other settings (then -> now): eval_report: n_draws: 100 -> 110") == 1
    assert said.index("note:") < said.index("built eval_report")


def test_status_shows_every_artifact(built: Built) -> None:
    rows = built.project.recsys("status", "--json").json()["artifacts"]
    assert {row["asset"] for row in rows} == PARENTS.keys()
    versions = built.project.versions()
    for row in rows:
        assert row["version"] == versions[row["asset"]][:12]
        assert row["bytes"] > 0
        assert row["stale"] == []
    table = built.project.recsys("status").out
    assert table.count("up to date") == len(rows)


def test_status_of_an_empty_lake_lists_what_is_missing(tmp_path: Path) -> None:
    status = Project.new(tmp_path / "project").recsys("status", "--json").json()
    assert all("missing" in row["stale"] and row["version"] is None for row in status["artifacts"])
    assert status["learned_until"] is None


@pytest.mark.slow
def test_status_says_until_when_the_models_that_serve_have_learned(built: Built) -> None:
    """Without a log that is the second after the last rating."""
    last = built.project.manifest("ratings")["lineage"]["data_until"]
    learned_until = built.project.recsys("status", "--json").json()["learned_until"]
    assert datetime.fromisoformat(learned_until) == datetime.fromtimestamp(last + 1, UTC)
    assert learned_until in built.project.recsys("status").out


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
    warning = "report_counts_everybody of eval_report did not pass, so nothing is built upon it"
    assert warning in plan.err
    assert project.recsys("refresh", "--plan", "--json").json() == {}
    rows = {row["asset"]: row for row in project.recsys("status", "--json").json()["artifacts"]}
    assert rows["eval_report"]["failed_checks"] == ["report_counts_everybody"]
    assert rows["ranker"]["failed_checks"] == []
    status = project.recsys("status")
    assert warning in status.err
    assert "did not pass: report_counts_everybody" in " ".join(status.out.split())
