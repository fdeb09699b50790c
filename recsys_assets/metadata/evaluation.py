"""Metadata of the evaluation stage: our system beside the baselines, by group of users, and where likes were lost."""

from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from recsys_assets.metadata.pictures import MARKS, SERIES, bars, intervals, picture
from recsys_assets.metadata.tables import Lineage, Metadata, columns_on_demand, table_metadata

if TYPE_CHECKING:  # faiss and xgboost would slow the loading of definitions
    from matplotlib.axes import Axes

    from recsys_core.evaluation.baselines.tuning import BaselineLists
    from recsys_core.evaluation.report import EvalReport

BASELINES_LINEAGE: Lineage = {"user_id": ("splits.users.user_id",), "item_id": ("ratings.item_id",)}

REPORT_LINEAGE: Lineage = {
    "per_user.user_id": ("splits.users.user_id",),
    "per_user.n_targets": ("splits.item_id",),
    "fates.user_id": ("splits.user_id",),
    "fates.item_id": ("splits.item_id",),
}


def baselines_metadata(made: "BaselineLists") -> Metadata:
    """Every setting that was tried, best first, and the best figures of each baseline on the development windows."""
    from recsys_core.evaluation.schemas import BASELINE_LISTS, TRIALS
    from recsys_core.markdown import markdown_table

    ordered = made.trials.sort("model", "ndcg_at_10", descending=[False, True])
    rows = [[str(row[0]), str(row[1]), *(f"{value:.4f}" for value in row[2:])] for row in ordered.iter_rows()]
    best = ordered.group_by("model", maintain_order=True).agg(pl.col("ndcg_at_10", "recall_at_100").max())

    def draw(axes: "Axes") -> None:
        for colour, mark, ((model,), own) in zip(
            SERIES, MARKS, ordered.group_by("model", maintain_order=True), strict=False
        ):
            axes.scatter(
                own["recall_at_100"].to_list(),
                own["ndcg_at_10"].to_list(),
                color=colour,
                marker=mark,
                s=22,
                label=model,
            )
        axes.set(xlabel="recall@100, development windows", ylabel="NDCG@10, development windows")
        axes.legend(loc="best")

    return {
        **table_metadata(made.lists, BASELINE_LISTS, BASELINES_LINEAGE, trials=(made.trials, TRIALS)),
        "n_trials": made.trials.height,
        **{f"development_ndcg@10.{row['model']}": row["ndcg_at_10"] for row in best.iter_rows(named=True)},
        "trials": dg.MetadataValue.md(markdown_table(made.trials.columns, rows)),
        "tuning": picture(draw),
    }


def eval_metadata(report: "EvalReport") -> Metadata:
    """The tables of the report, as the terminal and the README show them, with pictures."""
    from recsys_core.evaluation import rendering
    from recsys_core.evaluation.report import OURS

    return {
        "at_a_glance": dg.MetadataValue.md(rendering.glance_table(report)),
        **report.headline(),
        **_numbers(report),
        "results": dg.MetadataValue.md(rendering.headline_table(report)),
        "by_window": dg.MetadataValue.md(rendering.windows_table(report)),
        "recall_by_window": dg.MetadataValue.md(rendering.windows_table(report, "recall@100")),
        "ndcg_by_model": _by_model(report.summary),
        "comparison": dg.MetadataValue.md(rendering.comparison_table(report)),
        "funnel": dg.MetadataValue.md(rendering.funnel_table(report)),
        "funnel_picture": picture(
            bars(report.funnel["fate"].to_list(), report.funnel["share"].to_list(), "share of held-out likes")
        ),
        "beyond_accuracy": dg.MetadataValue.md(rendering.beyond_accuracy_table(report)),
        "user_slices": dg.MetadataValue.md(rendering.segments_table(report, OURS)),
        "ndcg_by_slice": _by_slice(report.user_slices.filter(model=OURS)),
        "item_slices": dg.MetadataValue.md(rendering.item_segments_table(report)),
        **columns_on_demand(_tables(report)),
    }


def _tables(report: "EvalReport") -> Metadata:
    from recsys_core.evaluation import schemas

    return table_metadata(
        report.summary,
        schemas.SUMMARY,
        REPORT_LINEAGE,
        comparison=(report.comparison, schemas.COMPARISON),
        per_user=(report.per_user, schemas.PER_USER),
        funnel=(report.funnel, schemas.FUNNEL),
        fates=(report.fates, schemas.FATE_OF_EACH),
        breadth=(report.breadth, schemas.BREADTH),
        user_slices=(report.user_slices, schemas.USER_SLICES),
        item_slices=(report.item_slices, schemas.ITEM_SLICES),
    )


def _numbers(report: "EvalReport") -> Metadata:
    """Further numbers to plot over time: the share of likes lost at each stage, and the measures beyond accuracy."""
    from recsys_core.evaluation.report import OURS

    own = report.breadth.filter(model=OURS)
    lost = {f"share {fate}": share for fate, _, share in report.funnel.iter_rows()}
    return lost | dict(own.select("metric", "value").iter_rows())


def _by_model(summary: pl.DataFrame) -> dg.MarkdownMetadataValue:
    from recsys_core.evaluation.accuracy import HEADLINE
    from recsys_core.evaluation.protocols import REFITTED
    from recsys_core.evaluation.report import ALL_WINDOWS

    own = summary.filter(metric=HEADLINE, window=ALL_WINDOWS, protocol=REFITTED)
    table = own.sort("mean", descending=True)
    bounds = list(table.select("low", "high").iter_rows())
    return picture(
        intervals(table["model"].to_list(), table["mean"].to_list(), bounds, "NDCG@10, all windows, 95 % intervals")
    )


def _by_slice(table: pl.DataFrame) -> dg.MarkdownMetadataValue:
    table = table.sort("dimension", pl.col("slice").str.extract(r"^(\d+)").cast(pl.Int64), maintain_order=True)
    names = [f"{row['slice']}\n{row['dimension']}, n = {row['n']}" for row in table.iter_rows(named=True)]
    bounds = list(table.select("low", "high").iter_rows())
    label = "NDCG@10, all windows, 95 % intervals (no dot: too few users)"
    return picture(intervals(names, table["mean"].to_list(), bounds, label))
