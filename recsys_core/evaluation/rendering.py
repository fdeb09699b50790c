"""The report as tables: Markdown for the README and the asset's metadata, cells for the terminal."""

from collections.abc import Sequence

import polars as pl

from recsys_core.evaluation.accuracy import HEADLINE, HEADLINE_METRICS
from recsys_core.evaluation.protocols import FROZEN, NEWCOMERS, REFITTED
from recsys_core.evaluation.report import ALL_WINDOWS, EvalReport
from recsys_core.markdown import markdown_table

Cells = tuple[list[str], list[list[str]]]
"""The header of a table, and its rows."""

LONGEST_BAR = 8
"""Characters of the best model's bar, as many as the UI has room for."""

BLOCKS = ["", *map(chr, range(0x258F, 0x2587, -1))]
"""None to eight eighths of a block."""


def headline_table(report: EvalReport, window: str = ALL_WINDOWS, protocol: str = REFITTED) -> str:
    """`headline_cells` as Markdown."""
    return markdown_table(*headline_cells(report, window, protocol))


def headline_cells(
    report: EvalReport,
    window: str = ALL_WINDOWS,
    protocol: str = REFITTED,
    with_interval: Sequence[str] = HEADLINE_METRICS,
) -> Cells:
    """Every model's headline figures, best first; some with their intervals."""
    own = report.summary.filter(window=window, protocol=protocol)
    rows = []
    for model in report.best_first(window=window, protocol=protocol):
        cells = []
        for metric in HEADLINE_METRICS:
            row = own.filter(model=model, metric=metric).row(0, named=True)
            interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if metric in with_interval else ""
            cells.append(f"{row['mean']:.3f}{interval}")
        rows.append([model, *cells])
    return ["model", *HEADLINE_METRICS], rows


def glance_table(report: EvalReport) -> str:
    """Every model's headline figure with its interval and a bar, best first; short, so that the UI shows it unasked."""
    own = report.summary.filter(window=ALL_WINDOWS, protocol=REFITTED, metric=HEADLINE)
    best = report.mean(report.best_first()[0])
    rows = []
    for model in report.best_first():
        row = own.filter(model=model).row(0, named=True)
        full, eighths = divmod(round(8 * LONGEST_BAR * row["mean"] / (best or 1)), 8)
        bar = BLOCKS[8] * full + BLOCKS[eighths]
        rows.append([model, f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]", bar])
    return markdown_table(["model", "NDCG@10, all windows", ""], rows).replace("---: |", ":--- |")


def comparison_table(report: EvalReport, window: str = ALL_WINDOWS) -> str:
    """Our lead over each other model, when all are refitted, as Markdown."""
    others = report.comparison.filter(protocol=REFITTED, window=window)["other"].unique(maintain_order=True).to_list()
    return markdown_table(*comparison_cells(report, others, window))


def comparison_cells(report: EvalReport, others: Sequence[str], window: str = ALL_WINDOWS) -> Cells:
    """Our lead over some other models, when all are refitted."""
    rows = []
    for other in others:
        cells = []
        for metric, kind, form in (
            (HEADLINE, "difference", "+.3f"),
            (HEADLINE, "ratio", ".2f"),
            ("recall@100", "ratio", ".2f"),
        ):
            mean, low, high = report.lead_over(other, window=window, metric=metric, kind=kind)
            cells.append(f"{mean:{form}} [{low:{form}}, {high:{form}}]")
        rows.append([other, *cells])
    return ["against", "difference in NDCG@10", "ratio of NDCG@10", "ratio of recall@100"], rows


def windows_table(report: EvalReport, metric: str = HEADLINE) -> str:
    """One metric of every model, a row per window, as Markdown."""
    models = report.summary["model"].unique(maintain_order=True).to_list()
    return markdown_table(*windows_cells(report, models, metric))


def windows_cells(report: EvalReport, models: Sequence[str], metric: str = HEADLINE) -> Cells:
    """One metric of some models, a row per window: refitted, pooled frozen, and newcomers."""
    means = report.summary.filter(metric=metric)
    names = means["window"].unique(maintain_order=True).to_list()
    shown = [(REFITTED, window) for window in names] + [(FROZEN, ALL_WINDOWS), (NEWCOMERS, ALL_WINDOWS)]
    rows = []
    for protocol, window in shown:
        own = means.filter(protocol=protocol, window=window)
        if own.height:
            figures = dict(own.select("model", "mean").iter_rows())
            label = window if protocol == REFITTED else f"{window}, {protocol}"
            rows.append([label, str(own["n"][0]), *(f"{figures[model]:.3f}" for model in models)])
    return ["window", "users", *models], rows


def funnel_table(report: EvalReport) -> str:
    """The fates of the held-out likes."""
    rows = [[fate, str(n), f"{share:.1%}"] for fate, n, share in report.funnel.iter_rows()]
    return markdown_table(["fate of a held-out like", "likes", "share"], rows)


def beyond_accuracy_table(report: EvalReport) -> str:
    """Beyond accuracy, a column per metric."""
    wide = report.breadth.pivot("metric", index="model", values="value")
    rows = [[str(row[0]), *(f"{value:.3f}" for value in row[1:])] for row in wide.iter_rows()]
    return markdown_table(wide.columns, rows)


def segments_table(report: EvalReport, model: str) -> str:
    """One model's headline metric for each part of the users."""
    rows = []
    for row in report.user_slices.filter(model=model).iter_rows(named=True):
        small = row["mean"] is None or row["mean"] != row["mean"]
        figure = "too few users" if small else f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        rows.append([f"{row['dimension']}: {row['slice']}", str(row["n"]), figure])
    return markdown_table(["users", "n", "NDCG@10"], rows)


def item_segments_table(report: EvalReport) -> str:
    """Each model's recall, in a short and in a long list, of targets by how often their item had been rated."""
    named = report.item_slices.with_columns(column=pl.format("{} (n={})", "slice", "n"))
    wide = named.pivot("column", index=["model", "k"], values="recall")
    rows = [[str(row[0]), str(row[1]), *(f"{value:.3f}" for value in row[2:])] for row in wide.iter_rows()]
    return markdown_table(wide.columns, rows)
