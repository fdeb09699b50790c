"""The README and the page of results tell the truth: figures, commands, the table of stages."""

import re
from pathlib import Path

import pytest

from benchmarks.agreement import Figure, disagreements, figures
from benchmarks.architecture import assets_in_order, name_of
from benchmarks.generated import found
from benchmarks.results import COMMAND, PAGE, PART, README, current_report, faults
from recsys_core import STAGES

TOLD = """6 windows, 500 users, 600 queries.

| model | ndcg@10 | hit@10 |
| --- | ---: | ---: |
| two-stage | 0.150 [0.120, 0.180] | 0.500 [0.400, 0.600] |
| ease | 0.120 [0.090, 0.150] | 0.450 [0.350, 0.550] |

| against | difference in NDCG@10 | ratio of NDCG@10 |
| --- | ---: | ---: |
| ease | +0.030 [+0.010, +0.050] | 1.25 [1.05, 1.45] |

| window | users | two-stage |
| --- | ---: | ---: |
| test | 80 | 0.140 |

| fate | likes | share |
| --- | ---: | ---: |
| hit | 100 | 5.0% |"""


@pytest.mark.slow
def test_the_results_are_those_of_the_evaluation_report(current_lake: Path) -> None:
    wrong = faults(current_report(current_lake))
    assert not wrong, f"run python -m {COMMAND}: {wrong}"


def test_no_figure_stands_without_its_interval_and_the_number_of_users() -> None:
    short, whole = (found(page.read_text(encoding="utf-8"), PART, COMMAND) for page in (README, PAGE))
    assert re.match(r"\d+ windows, [\d,]+ users, [\d,]+ queries, [\d,]+ held-out likes", short)
    assert whole.startswith(short), "both pages were written at once"
    told = figures(whole)
    pooled = {key: figure for key, figure in told.items() if key[0] in {"model", "against"}}
    assert len(pooled) > 40
    assert not [key for key, figure in pooled.items() if figure.low is None or not figure.low <= figure.high]
    assert {row for table, row, _ in told if table == "window"} == {
        row for table, row, column in told if table == "window" and column == "users"
    }


def test_a_figure_is_read_as_it_is_printed() -> None:
    assert Figure.read("+0.015 [-0.006, +0.036]") == Figure(mean=0.015, low=-0.006, high=0.036)
    assert Figure.read("2,203") == Figure(mean=2203)
    assert Figure.read("12.9%").mean == pytest.approx(0.129)
    with pytest.raises(ValueError, match="expected a figure"):
        Figure.read("too few users")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"0.150 [0.120, 0.180]": "0.165 [0.135, 0.195]"},
        {"0.500 [": "0.540 ["},
        {"1.25 [1.05, 1.45]": "1.35 [1.10, 1.60]"},
        {"+0.030 [+0.010, +0.050]": "+0.020 [-0.001, +0.041]"},
        {"| 100 | 5.0%": "| 120 | 6.0%"},
        {"| 80 | 0.140": "| 80 | 0.165"},
    ],
)
def test_what_another_processor_may_move_is_no_disagreement(changes: dict[str, str]) -> None:
    assert disagreements(TOLD, changed(changes)) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"500 users": "501 users"}, "text between"),
        ({"| 80 |": "| 81 |"}, "window / test / users"),
        ({"0.150 [0.120, 0.180]": "0.175 [0.120, 0.180]"}, "model / two-stage / ndcg@10"),
        ({"0.150 [0.120, 0.180]": "0.150 [0.095, 0.180]"}, "model / two-stage / ndcg@10"),
        ({"0.150 [0.120, 0.180]": "0.150"}, "model / two-stage / ndcg@10"),
        ({"| ease | 0.120": "| item_knn | 0.120"}, "only one of the two has"),
        ({"| 100 | 5.0%": "| 200 | 10.0%"}, "fate / hit / share"),
        (
            {"0.150 [0.120, 0.180]": "0.132 [0.120, 0.180]", "0.120 [0.090, 0.150]": "0.138 [0.090, 0.150]"},
            "are in another order",
        ),
    ],
)
def test_what_says_something_else_is_told(changes: dict[str, str], why: str) -> None:
    assert why in " ".join(disagreements(TOLD, changed(changes)))


def test_a_conclusion_may_not_turn_where_it_is_clear() -> None:
    clear = changed({"+0.030 [+0.010, +0.050]": "+0.045 [+0.025, +0.065]"})
    unclear = changed({"+0.030 [+0.010, +0.050]": "+0.030 [-0.010, +0.050]"})
    assert "beyond chance in only one of the two" in " ".join(disagreements(clear, unclear))
    assert "beyond chance in only one of the two" in " ".join(disagreements(unclear, clear))
    assert "beyond chance" not in " ".join(disagreements(TOLD, unclear))


def changed(changes: dict[str, str]) -> str:
    text = TOLD
    for before, after in changes.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    return text


def test_the_stage_table_names_every_stage_and_its_assets_in_order() -> None:
    rows = re.findall(r"^\| (\w+) \|.*\| `recsys_core/(\w+)` \| (.*?) \| \[", README.read_text(encoding="utf-8"), re.M)
    assert [(stage, package) for stage, package, _ in rows] == [(stage, stage) for stage in STAGES]
    groups: dict[str, set[str]] = {stage: set() for stage in STAGES}
    for spec in assets_in_order():
        groups[str(spec.group_name)].add(name_of(spec))
    assert {stage: set(re.findall(r"`(\w+)`", assets)) for stage, _, assets in rows} == groups
