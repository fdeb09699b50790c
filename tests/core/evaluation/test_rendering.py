"""The report as Markdown."""

from dataclasses import replace

import polars as pl
import pytest

from recsys_core.data.splits import TEST
from recsys_core.evaluation import rendering
from recsys_core.evaluation.funnel import FATES
from recsys_core.evaluation.protocols import FROZEN, NEWCOMERS, REFITTED
from recsys_core.evaluation.report import ALL_WINDOWS, DEVELOPMENT, OURS, POPULARITY, EvalReport


def cells_of(table: str) -> list[list[str]]:
    """Rows without the rule below the header."""
    header, rule, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")]
    assert rule == ["---", *["---:"] * (len(header) - 1)]
    assert all(len(row) == len(header) for row in rows)
    return [header, *rows]


def test_the_headline_has_every_model_best_first_with_its_interval(report: EvalReport) -> None:
    _, *rows = cells_of(rendering.headline_table(report))
    means = [report.mean(row[0]) for row in rows]
    assert sorted(row[0] for row in rows) == sorted(report.per_user["model"].unique().to_list())
    assert means == sorted(means, reverse=True)
    pool = report.summary.filter(protocol=REFITTED, window=ALL_WINDOWS)
    best = pool.filter(model=rows[0][0], metric="ndcg@10").row(0, named=True)
    assert rows[0][1] == f"{best['mean']:.3f} [{best['low']:.3f}, {best['high']:.3f}]"


@pytest.mark.parametrize(("window", "protocol"), [(TEST, REFITTED), (DEVELOPMENT, FROZEN), ("window_2", NEWCOMERS)])
def test_the_headline_of_any_window_and_protocol_can_be_told(report: EvalReport, window: str, protocol: str) -> None:
    _, *rows = cells_of(rendering.headline_table(report, window, protocol))
    for row in rows:
        assert row[1].startswith(f"{report.mean(row[0], window=window, protocol=protocol):.3f} [")


def test_the_windows_have_a_row_each_after_their_pools_and_then_the_other_protocols(report: EvalReport) -> None:
    header, *rows = cells_of(rendering.windows_table(report))
    assert header == ["window", "users", *report.per_user["model"].unique(maintain_order=True).to_list()]
    assert [row[0] for row in rows] == [
        ALL_WINDOWS, DEVELOPMENT, "window_2", "window_3", "window_4", TEST,
        f"{ALL_WINDOWS}, {FROZEN}", f"{ALL_WINDOWS}, {NEWCOMERS}",
    ]  # fmt: skip
    of_row = dict(zip([row[0] for row in rows], rows, strict=True))
    place = header.index(OURS)
    assert of_row[TEST][place] == f"{report.mean(OURS, window=TEST):.3f}"
    assert of_row[f"{ALL_WINDOWS}, {FROZEN}"][place] == f"{report.mean(OURS, protocol=FROZEN):.3f}"
    users = [int(of_row[window][1]) for window in ("window_2", "window_3", "window_4", TEST)]
    assert int(of_row[ALL_WINDOWS][1]) == sum(users)
    assert int(of_row[DEVELOPMENT][1]) == sum(users[:2])


def test_leads_in_the_test_can_be_told_alone(report: EvalReport) -> None:
    _, *rows = cells_of(rendering.comparison_table(report, TEST))
    mean, low, high = report.lead_over(POPULARITY, window=TEST)
    assert rows[1][1] == f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


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
    header, *rows = cells_of(rendering.beyond_accuracy_table(report))
    assert header[1:] == report.breadth["metric"].unique(maintain_order=True).to_list()
    coverage = report.breadth.filter(model=OURS, metric="coverage")["value"].item()
    assert dict(zip(header, rows[0], strict=True))["coverage"] == f"{coverage:.3f}"


def test_small_slices_say_so(report: EvalReport) -> None:
    nothing = report.user_slices.with_columns(mean=pl.lit(float("nan")), n=pl.lit(3))
    _, *rows = cells_of(rendering.segments_table(replace(report, user_slices=nothing), OURS))
    assert {row[2] for row in rows} == {"too few users"}
    assert {row[1] for row in rows} == {"3"}
    _, *rows = cells_of(rendering.segments_table(report, OURS))
    assert any("[" in row[2] for row in rows)


def test_item_slices_name_how_many_targets_they_hold(report: EvalReport) -> None:
    header, *rows = cells_of(rendering.item_segments_table(report))
    assert len(rows) == 2 * report.per_user["model"].n_unique()
    n = report.item_slices.filter(model=OURS, slice="head", k=10)["n"].item()
    assert f"head (n={n})" in header


def test_at_a_glance_the_best_model_has_the_longest_bar_and_the_table_is_short(report: EvalReport) -> None:
    table = rendering.glance_table(report)
    _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n") if "---" not in line
    ]
    assert [row[0] for row in rows] == report.best_first()
    assert rows[0][2] == "\u2588" * rendering.LONGEST_BAR
    whole = [row[2].count("\u2588") for row in rows]
    assert whole == sorted(whole, reverse=True)
    assert len(table) < 1_000, "longer Markdown is opened by a click in the UI"
