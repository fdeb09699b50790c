"""report: what people and scripts see of the evaluation."""

import pytest

from recsys_core.evaluation.report import ALL_WINDOWS, OURS, POPULARITY, RETRIEVAL_ONLY, EvalReport
from recsys_core.evaluation.schemas import PROTOCOLS
from tests.conftest import Built


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
    assert f"({made.exams()[0]} to test)" in title
    assert f": {made.headline()['n_users']} users asked" in title


def test_each_window_has_a_row_and_frozen_models_and_newcomers_have_one(page: list[str], made: EvalReport) -> None:
    rows = part(page, "NDCG@10 by window")[1:]
    names = [" ".join(row[:-5]) for row in rows]
    assert names == [
        "all windows", "development", *made.exams(), "all windows, frozen", "all windows, newcomers",
    ]  # fmt: skip
    by_name = {name: row[-5:] for name, row in zip(names, rows, strict=True)}
    assert by_name["test"][1] == f"{made.mean(OURS, window='test'):.3f}"
    assert by_name["all windows, frozen"][2] == f"{made.mean(RETRIEVAL_ONLY, protocol='frozen'):.3f}"


def test_our_lead_is_told_over_retrieval_the_best_baseline_and_popularity(page: list[str], made: EvalReport) -> None:
    rows = part(page, f"{OURS} against others")[1:]
    best = next(model for model in made.best_first() if model not in (OURS, RETRIEVAL_ONLY))
    assert [row[0] for row in rows] == list(dict.fromkeys([RETRIEVAL_ONLY, best, POPULARITY]))
    ratio, low, high = made.lead_over(POPULARITY, kind="ratio")
    assert rows[-1][4:7] == [f"{ratio:.2f}", f"[{low:.2f},", f"{high:.2f}]"]


def test_the_funnel_is_of_the_test_window(page: list[str], made: EvalReport) -> None:
    rows = part(page, f"Where the {made.fates.height} liked movies of the test window went")
    assert sum(int(next(cell for cell in row if cell.isdigit())) for row in rows) == made.fates.height


def test_the_page_ends_with_what_was_examined_and_what_serves(built: Built, page: list[str], made: EvalReport) -> None:
    learned_until = built.project.manifest("two_tower")["lineage"]["facts"]["learned_until"]
    assert page[-1].startswith(f"Examined: the models of {', '.join(made.exams())}, ")
    assert page[-1].endswith(f"have learned everything until {learned_until}.")


def test_scripts_get_the_same_and_every_window_and_protocol(built: Built, made: EvalReport) -> None:
    report = built.project.recsys("report", "--json").json()
    assert report["models"] == made.best_first()
    assert report["examined"] == made.exams()
    assert report["headline"]["n_users"] == made.headline()["n_users"] > 0
    assert report["learned_until"] == built.project.manifest("two_tower")["lineage"]["facts"]["learned_until"]
    assert {row["protocol"] for row in report["summary"]} == set(PROTOCOLS)
    assert {*made.exams(), ALL_WINDOWS} < {row["window"] for row in report["summary"]}
    assert {row["kind"] for row in report["comparison"]} == {"difference", "ratio"}
    assert sum(row["share"] for row in report["funnel"]) == pytest.approx(1)
