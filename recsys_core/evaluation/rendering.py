"""The report as Markdown tables: for the README, the metadata of the asset, and the terminal."""

import polars as pl

from recsys_core.evaluation.report import EvalReport

HEADLINE_METRICS = ("ndcg@10", "recall@10", "recall@100", "map@10", "hit@10")


def headline_table(report: EvalReport) -> str:
    """Every model's headline figures with intervals, best first."""
    order = report.summary.filter(metric=HEADLINE_METRICS[0]).sort("mean", descending=True)["model"].to_list()
    rows = []
    for model in order:
        cells = []
        for metric in HEADLINE_METRICS:
            row = report.summary.filter(model=model, metric=metric).row(0, named=True)
            cells.append(f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
        rows.append([model, *cells])
    return markdown_table(["model", *HEADLINE_METRICS], rows)


def comparison_table(report: EvalReport) -> str:
    """Our lead over each other model."""
    rows = []
    for row in report.comparison.filter(kind="difference").iter_rows(named=True):
        ratio = report.comparison.filter(kind="ratio", other=row["other"]).row(0, named=True)
        lead = f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        rows.append([row["other"], lead, f"{ratio['mean']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"])
    return markdown_table(["against", "difference in NDCG@10", "ratio"], rows)


def funnel_table(report: EvalReport) -> str:
    """Where the held-out likes went."""
    rows = [[fate, str(n), f"{share:.1%}"] for fate, n, share in report.funnel.iter_rows()]
    return markdown_table(["fate of a held-out like", "likes", "share"], rows)


def breadth_table(report: EvalReport) -> str:
    """Beyond accuracy, a column per metric."""
    wide = report.breadth.pivot("metric", index="model", values="value")
    rows = [[str(row[0]), *(f"{value:.3f}" for value in row[1:])] for row in wide.iter_rows()]
    return markdown_table(wide.columns, rows)


def slices_table(report: EvalReport, model: str) -> str:
    """One model's headline metric for each part of the users."""
    rows = []
    for row in report.user_slices.filter(model=model).iter_rows(named=True):
        small = row["mean"] is None or row["mean"] != row["mean"]
        figure = "too few users" if small else f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        rows.append([f"{row['dimension']}: {row['slice']}", str(row["n"]), figure])
    return markdown_table(["users", "n", "NDCG@10"], rows)


def item_slices_table(report: EvalReport) -> str:
    """Each model's recall of targets from the head, the middle and the tail of the catalogue."""
    named = report.item_slices.with_columns(column=pl.format("{} (n={})", "slice", "n"))
    wide = named.pivot("column", index="model", values="recall")
    rows = [[str(row[0]), *(f"{value:.3f}" for value in row[1:])] for row in wide.iter_rows()]
    return markdown_table(wide.columns, rows)


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A GitHub-style table, the first column to the left and all others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *rows])
