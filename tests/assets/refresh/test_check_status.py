"""A check that did not pass stops this refresh, and the next."""

import pytest

from recsys_assets.checks.evaluation import report_counts_everybody, system_beats_popularity
from recsys_assets.checks.ranking import features_keep_their_contract
from tests.assets.edits import DAY, SKIPS, change
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import below, write_log

RED = ("violations(rows, example_schema())", '["red", *violations(rows, example_schema())]')

RED_REPORT = ("agree and whole and not missing", "False")


@pytest.mark.slow
def test_nothing_is_built_upon_a_red_check_until_it_passes(project: Project) -> None:
    project.edit(features_keep_their_contract, *RED)
    change(project, "ranking_examples", n_candidates=40)
    first = project.recsys("refresh")
    assert "features_keep_their_contract" in first.sentence
    assert project.plan().keys() == {"ranker"} | below("ranker"), "the examples themselves are published"
    assert project.recsys("refresh").sentence == first.sentence, "a second try must not slip past"
    project.edit(features_keep_their_contract, *reversed(RED))
    assert set(project.refresh()) == {"ranker"} | below("ranker")


@pytest.mark.slow
def test_a_red_check_does_not_stop_the_rebuild_that_mends_it(project: Project) -> None:
    project.edit(features_keep_their_contract, *RED)
    change(project, "ranking_examples", n_candidates=40)
    assert project.recsys("refresh").code == 1
    project.edit(features_keep_their_contract, *reversed(RED))
    change(project, "ranking_examples", n_candidates=50)
    assert project.refresh()[0] == "ranking_examples"


@pytest.mark.slow
def test_a_red_check_stops_nothing_that_does_not_lie_below(project: Project) -> None:
    project.edit(report_counts_everybody, *RED_REPORT)
    change(project, "eval_report", n_draws=110)
    change(project, "past_requests", k=8)
    first = project.recsys("refresh")
    assert "report_counts_everybody" in first.sentence
    assert project.plan() == {}, "what stood in the same wave is built"
    write_log(project, SKIPS)
    assert project.recsys("refresh").sentence == first.sentence
    assert DAY in project.versions(), "a day is ingested whatever a report of models says"
    assert project.plan() == {}


@pytest.mark.slow
def test_a_lost_event_log_means_that_the_checks_run_again(project: Project) -> None:
    (project.lake / "dagster").rename(project.root / "away")
    project.edit(features_keep_their_contract, *RED)
    assert "features_keep_their_contract" in project.recsys("refresh").sentence
    project.edit(features_keep_their_contract, *reversed(RED))
    assert project.refresh() == []


def test_a_check_that_warns_is_told_and_stops_nothing(project: Project) -> None:
    project.edit(system_beats_popularity, before="beats(report, POPULARITY)", after="False")
    change(project, "eval_report", n_draws=110)
    answer = project.recsys("refresh", "--json")
    assert answer.json() == {"built": ["eval_report"]}
    assert "warning: the check system_beats_popularity of eval_report did not pass" in " ".join(answer.err.split())
