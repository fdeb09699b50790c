"""The README tells the truth: its graph, its figures, its commands, its table of stages."""

import re
from pathlib import Path

import pytest

from benchmarks.generated import found
from benchmarks.readme import COMMAND, README, assets_in_order, current_report, graph_block, name_of, results_block
from recsys_core import STAGES
from recsys_core.evaluation.report import OURS, RETRIEVAL_ONLY

CLOSED_FORM = 0.002
"""Baselines are counts and linear algebra in float64: on any machine they agree nearly to the last digit shown."""

TRAINED = {"hit@10": 0.1}
"""Another processor sums floats in another order, and the ranker's trees carry that on as another seed would. Measured
were up to 0.016 in NDCG and 0.05 in hits (lab log, "rounding alone"); trained models may differ by twice that."""


def test_the_graph_is_that_of_the_assets() -> None:
    assert found(README.read_text(encoding="utf-8"), "graph", COMMAND) == graph_block()


@pytest.mark.slow
def test_the_results_are_those_of_the_evaluation_report(current_lake: Path) -> None:
    shown = found(README.read_text(encoding="utf-8"), "results", COMMAND)
    made = results_block(current_report(current_lake))
    if shown == made:
        return
    told, true = figures(shown), figures(made)
    assert told.keys() == true.keys(), "run python -m benchmarks.readme"
    far = [key for key in true if abs(told[key] - true[key]) > allowed(*key)]
    assert not far, f"run python -m benchmarks.readme: {[(key, told[key], true[key]) for key in far]}"


def test_no_figure_stands_without_its_interval_and_the_number_of_users() -> None:
    shown = found(README.read_text(encoding="utf-8"), "results", COMMAND)
    assert re.match(r"\d+ test users, [\d,]+ liked movies", shown)
    table, lead = (part.splitlines()[2:] for part in shown.split("\n\n") if part.startswith(("| model", "| against")))
    cells = [cell for row in table + lead for cell in row.strip("| ").split(" | ")[1:]]
    assert len(cells) > 20
    assert not [cell for cell in cells if not re.fullmatch(r"[+-]?\d\.\d+ \[[+-]?\d+\.\d+, [+-]?\d+\.\d+\]", cell)]


def test_figures_are_read_by_model_and_metric() -> None:
    table = "| model | ndcg@10 |\n| --- | ---: |\n| ease | 0.121 [0.087, 0.155] |\n\n| against | x |\n| ease | +1 |"
    assert figures(table) == {("ease", "ndcg@10"): 0.121}


def test_the_stage_table_names_every_stage_and_its_assets_in_order() -> None:
    rows = re.findall(r"^\| (\w+) \|.*\| `recsys_core/(\w+)` \| (.*?) \| \[", README.read_text(encoding="utf-8"), re.M)
    assert [(stage, package) for stage, package, _ in rows] == [(stage, stage) for stage in STAGES]
    groups: dict[str, set[str]] = {stage: set() for stage in STAGES}
    for spec in assets_in_order():
        groups[str(spec.group_name)].add(name_of(spec))
    assert {stage: set(re.findall(r"`(\w+)`", assets)) for stage, _, assets in rows} == groups


def figures(block: str) -> dict[tuple[str, str], float]:
    """Each figure of the first table, by model and metric."""
    lines = ("| model" + block.partition("| model")[2]).split("\n\n")[0].splitlines()
    header, _, *table = [line.strip("| ").split(" | ") for line in lines]
    return {
        (row[0], metric): float(cell.split(" ")[0])
        for row in table
        for metric, cell in zip(header[1:], row[1:], strict=True)
    }


def allowed(model: str, metric: str) -> float:
    """How far a figure may be from that of another machine."""
    return TRAINED.get(metric, 0.03) if model in {OURS, RETRIEVAL_ONLY} else CLOSED_FORM
