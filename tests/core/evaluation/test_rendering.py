"""The report as Markdown."""

from dataclasses import replace

import polars as pl

from recsys_core.evaluation import rendering
from recsys_core.evaluation.funnel import FATES
from recsys_core.evaluation.report import OURS, POPULARITY, EvalReport


def cells_of(table: str) -> list[list[str]]:
    """Rows without the rule below the header."""
    header, rule, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")]
    assert rule == ["---", *["---:"] * (len(header) - 1)]
    assert all(len(row) == len(header) for row in rows)
    return [header, *rows]


def test_a_table_by_hand() -> None:
    assert rendering.markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_the_headline_has_every_model_best_first_with_its_interval(report: EvalReport) -> None:
    _, *rows = cells_of(rendering.headline_table(report))
    means = [report.mean(row[0]) for row in rows]
    assert sorted(row[0] for row in rows) == sorted(report.per_user["model"].unique().to_list())
    assert means == sorted(means, reverse=True)
    best = report.summary.filter(model=rows[0][0], metric="ndcg@10").row(0, named=True)
    assert rows[0][1] == f"{best['mean']:.3f} [{best['low']:.3f}, {best['high']:.3f}]"


def test_leads_show_their_sign(report: EvalReport) -> None:
    _, *rows = cells_of(rendering.comparison_table(report))
    assert [row[0] for row in rows] == report.comparison["other"].unique(maintain_order=True).to_list()
    assert all(row[1][0] in "+-" for row in rows)
    mean, low, high = report.lead_over(POPULARITY)
    assert rows[1][1] == f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def test_the_funnel_lists_every_fate_and_sums_to_all(report: EvalReport) -> None:
    _, *rows = cells_of(rendering.funnel_table(report))
    assert [row[0] for row in rows] == list(FATES)
    assert sum(int(row[1]) for row in rows) == report.fates.height
    assert abs(sum(float(row[2].rstrip("%")) for row in rows) - 100) < 0.5


def test_breadth_has_a_column_per_metric(report: EvalReport) -> None:
    header, *rows = cells_of(rendering.breadth_table(report))
    assert header[1:] == report.breadth["metric"].unique(maintain_order=True).to_list()
    coverage = report.breadth.filter(model=OURS, metric="coverage")["value"].item()
    assert dict(zip(header, rows[0], strict=True))["coverage"] == f"{coverage:.3f}"


def test_small_slices_say_so(report: EvalReport) -> None:
    nothing = report.user_slices.with_columns(mean=pl.lit(float("nan")), n=pl.lit(3))
    _, *rows = cells_of(rendering.slices_table(replace(report, user_slices=nothing), OURS))
    assert {row[2] for row in rows} == {"too few users"}
    assert {row[1] for row in rows} == {"3"}
    _, *rows = cells_of(rendering.slices_table(report, OURS))
    assert any("[" in row[2] for row in rows)


def test_item_slices_name_how_many_targets_they_hold(report: EvalReport) -> None:
    header, *rows = cells_of(rendering.item_slices_table(report))
    assert len(rows) == report.per_user["model"].n_unique()
    n = report.item_slices.filter(model=OURS, slice="head")["n"].item()
    assert f"head (n={n})" in header
