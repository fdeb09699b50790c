"""status, checks, report: what people and scripts see of the lake."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys_assets.checks.evaluation import report_counts_everybody
from recsys_assets.cli.status import _short
from recsys_assets.definitions import defs
from recsys_assets.refresh.check_status import WORST_FIRST
from recsys_core.evaluation.report import ALL_WINDOWS, OURS, POPULARITY, RETRIEVAL_ONLY, EvalReport
from recsys_core.evaluation.schemas import PROTOCOLS
from tests.assets.edits import change
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import PARENTS
from tests.conftest import Built

N_CHECKS = len(list(defs.get_repository_def().asset_graph.asset_check_keys))


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
    assert "`recsys checks` shows everything that it found" in project.recsys("refresh").sentence
    first = project.recsys("checks", "--json").json()[0]
    assert (first["verdict"], first["check"], first["asset"]) == ("blocks", "report_counts_everybody", "eval_report")
    assert project.recsys("checks").out.startswith("blocks report_counts_everybody of eval_report")


def test_a_long_value_is_cut_and_moves_no_cursor() -> None:
    assert _short("x" * 300) == "x" * 200 + " ..."
    assert _short("a\n b\033[2J") == "a b\\x1b[2J"


@pytest.fixture(scope="module")
def page(built: Built) -> list[str]:
    return built.project.recsys("report").out.splitlines()


@pytest.fixture(scope="module")
def made(built: Built) -> EvalReport:
    return EvalReport.load(built.project.folder("eval_report"))


def part(page: list[str], title: str) -> list[list[str]]:
    """The words of each line of the table below a title."""
    (start,) = (number for number, line in enumerate(page) if line.startswith(title))
    below = "\n".join(page[start + 1 :]).lstrip("\n")
    return [line.split() for line in below.partition("\n\n")[0].splitlines()]


def test_every_model_stands_once_in_the_first_table_the_best_first(page: list[str], made: EvalReport) -> None:
    rows = part(page, "All windows")[1:]
    assert [row[0] for row in rows] == made.best_first()
    assert [row[1] for row in rows] == [f"{made.mean(model):.3f}" for model in made.best_first()]
    assert [float(row[1]) for row in rows] == sorted((float(row[1]) for row in rows), reverse=True)


def test_the_page_names_windows_and_users(page: list[str], made: EvalReport) -> None:
    (title,) = (line for line in page if line.startswith("All windows"))
    assert f"({made.evaluation_windows()[0]} to test)" in title
    assert f": {made.headline()['n_users']} queries, each answered by models" in title


def test_each_window_has_a_row_and_frozen_models_and_newcomers_have_one(page: list[str], made: EvalReport) -> None:
    rows = part(page, "NDCG@10 by window")[1:]
    names = [" ".join(row[:-5]) for row in rows]
    assert names == [
        "all windows", "development", *made.evaluation_windows(), "all windows, frozen", "all windows, newcomers",
    ]  # fmt: skip
    by_name = {name: row[-5:] for name, row in zip(names, rows, strict=True)}
    assert by_name["test"][1] == f"{made.mean(OURS, window='test'):.3f}"
    assert by_name["all windows, frozen"][2] == f"{made.mean(RETRIEVAL_ONLY, protocol='frozen'):.3f}"


def test_our_lead_is_told_over_retrieval_the_best_baseline_and_popularity(page: list[str], made: EvalReport) -> None:
    rows = part(page, f"{OURS} compared with others")[1:]
    best = next(model for model in made.best_first() if model not in (OURS, RETRIEVAL_ONLY))
    assert [row[0] for row in rows] == list(dict.fromkeys([RETRIEVAL_ONLY, best, POPULARITY]))
    ratio, low, high = made.lead_over(POPULARITY, kind="ratio")
    assert rows[-1][4:7] == [f"{ratio:.2f}", f"[{low:.2f},", f"{high:.2f}]"]


def test_the_funnel_is_of_the_test_window(page: list[str], made: EvalReport) -> None:
    rows = part(page, f"What became of the {made.fates.height} liked movies of the test window")
    assert sum(int(next(cell for cell in row if cell.isdigit())) for row in rows) == made.fates.height


def test_the_page_ends_with_what_was_examined_and_what_serves(built: Built, page: list[str], made: EvalReport) -> None:
    learned_until = built.project.manifest("two_tower")["lineage"]["facts"]["learned_until"]
    assert page[-1].startswith(f"Evaluated: the models of {', '.join(made.evaluation_windows())}; ")
    assert page[-1].endswith(f"have learned from all ratings until {learned_until}.")


def test_scripts_get_the_same_and_every_window_and_protocol(built: Built, made: EvalReport) -> None:
    report = built.project.recsys("report", "--json").json()
    assert report["models"] == made.best_first()
    assert report["examined"] == made.evaluation_windows()
    assert report["headline"]["n_users"] == made.headline()["n_users"] > 0
    assert report["learned_until"] == built.project.manifest("two_tower")["lineage"]["facts"]["learned_until"]
    assert {row["protocol"] for row in report["summary"]} == set(PROTOCOLS)
    assert {*made.evaluation_windows(), ALL_WINDOWS} < {row["window"] for row in report["summary"]}
    assert {row["kind"] for row in report["comparison"]} == {"difference", "ratio"}
    assert sum(row["share"] for row in report["funnel"]) == pytest.approx(1)
