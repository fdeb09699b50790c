"""checks: what every check found, worst first."""

from pathlib import Path

import pytest

from recsys_assets.checks.evaluation import report_counts_everybody
from recsys_assets.cli.checks import _short
from recsys_assets.definitions import defs
from recsys_assets.refresh.check_status import WORST_FIRST
from tests.assets.edits import change
from tests.assets.projects import Project
from tests.conftest import Built

N_CHECKS = len(list(defs.get_repository_def().asset_graph.asset_check_keys))


def test_every_check_is_listed_once_worst_first_with_what_it_found(built: Built) -> None:
    found = built.project.recsys("checks", "--json").json()
    assert len({(one["asset"], one["check"]) for one in found}) == len(found) == N_CHECKS
    ranks = [WORST_FIRST.index(one["verdict"]) for one in found]
    assert ranks == sorted(ranks)
    assert all(one["ran_at"] and one["says"].endswith(".") for one in found)
    known = next(one for one in found if one["check"] == "ratings_are_of_known_movies")
    assert (known["verdict"], known["is_blocking"], known["found"]["n_ratings_of_unknown"]) == ("passed", False, 0)


@pytest.mark.slow
def test_what_did_not_pass_is_shown_with_its_values_and_what_did_in_a_line(built: Built) -> None:
    found = built.project.recsys("checks", "--json").json()
    shown = built.project.recsys("checks").out
    n_passed = sum(one["verdict"] == "passed" for one in found)
    assert 0 < n_passed < N_CHECKS, "the smoke settings make models that warn"
    assert f"{n_passed} of {N_CHECKS} checks passed" in shown
    for one in found:
        place = f"{one['verdict']} {one['check']} of {one['asset']}"
        assert place in shown
        if one["verdict"] != "passed":
            after = shown.split(place)[1]
            assert one["says"] in after
            assert all(f"\n  {name}: " in after for name in one["found"])


@pytest.mark.slow
def test_of_a_lake_in_which_nothing_ran_no_check_has_passed(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "project")
    found = project.recsys("checks", "--json").json()
    assert {one["verdict"] for one in found} == {"never ran"}
    assert not (project.lake / "dagster").exists(), "whoever only asks makes no folder"
    assert f"0 of {N_CHECKS} checks passed" in project.recsys("checks").out


@pytest.mark.slow
def test_a_check_that_blocks_comes_first(project: Project) -> None:
    project.edit(report_counts_everybody, before="agree and whole and not missing", after="False")
    change(project, "eval_report", n_draws=110)
    assert "`recsys checks` shows all that it found" in project.recsys("refresh").sentence
    first = project.recsys("checks", "--json").json()[0]
    assert (first["verdict"], first["check"], first["asset"]) == ("blocks", "report_counts_everybody", "eval_report")
    assert project.recsys("checks").out.startswith("blocks report_counts_everybody of eval_report")


def test_a_long_value_is_cut_and_moves_no_cursor() -> None:
    assert _short("x" * 300) == "x" * 200 + " ..."
    assert _short("a\n b\033[2J") == "a b\\x1b[2J"
