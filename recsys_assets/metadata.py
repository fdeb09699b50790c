"""What the UI shows of each artifact: tables as Markdown, curves as small pictures, numbers that plot over time."""

import base64
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

if TYPE_CHECKING:  # these pull in torch, faiss and xgboost, which must not slow the loading of definitions
    from matplotlib.axes import Axes

    from recsys_core.data.splits import Splits
    from recsys_core.evaluation.report import EvalReport
    from recsys_core.features.feature import Feature
    from recsys_core.monitoring.parity import ParityReport
    from recsys_core.monitoring.served import Served
    from recsys_core.monitoring.watch import Watch
    from recsys_core.ranking.report import RankingReport
    from recsys_core.retrieval.index import ItemIndex
    from recsys_core.retrieval.report import RetrievalReport
    from recsys_core.retrieval.training import FittedTower

Metadata = dict[str, Any]  # Dagster's own type of raw metadata

INK, ACCENT, ALARM = "#7f8c8d", "#1f77b4", "#d62728"
"""Mid-tones that read on light and on dark backgrounds alike."""


def table_metadata(table: pl.DataFrame) -> Metadata:
    """Row count and columns, under the names that the UI knows."""
    columns = [dg.TableColumn(name, str(dtype)) for name, dtype in table.schema.items()]
    return {"dagster/row_count": table.height, "dagster/column_schema": dg.TableSchema(columns=columns)}


def feature_table_metadata(table: pl.DataFrame) -> Metadata:
    """The same, with what the registry declares of each feature, and from which columns it is computed."""
    from recsys_core.features.registry import FEATURES

    declared = {one.name: one for one in FEATURES if one.name in table.columns}
    columns = [
        _declared_column(declared[name]) if name in declared else dg.TableColumn(name, str(dtype))
        for name, dtype in table.schema.items()
    ]
    sources = {
        name: [dg.TableColumnDep(dg.AssetKey(asset), column) for asset, column in (at.split(".") for at in one.sources)]
        for name, one in declared.items()
    }
    return {
        "dagster/row_count": table.height,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/column_lineage": dg.TableColumnLineage(sources),
    }


def _declared_column(one: "Feature[Any]") -> dg.TableColumn:
    bounds = [f">= {one.low:g}"] if one.low is not None else []
    bounds += [f"<= {one.high:g}"] if one.high is not None else []
    return dg.TableColumn(
        one.name,
        one.dtype,
        f"{one.description} Unit: {one.unit}.",
        dg.TableColumnConstraints(nullable=one.may_be_missing, other=bounds),
        tags={"group": one.group, "owner": one.owner.removeprefix("team:")},
    )


def rejected_metadata(rejected: pl.DataFrame, notes: list[str]) -> Metadata:
    """How many rows were set aside, the first of them, and what was odd but accepted."""
    from recsys_core.evaluation.rendering import markdown_table

    first = [[str(cell) for cell in row] for row in rejected.head(20).iter_rows()]
    shown = markdown_table(rejected.columns, first) if first else "none"
    return {
        "n_rejected": rejected.height,
        "rejected": dg.MetadataValue.md(shown),
        "notes": dg.MetadataValue.json(notes),
    }


def ratings_metadata(ratings: pl.DataFrame) -> Metadata:
    """Counts, and how stars and popularity are distributed."""
    stars = ratings.group_by("rating").len().sort("rating")
    popularity = ratings.group_by("item_id").len().sort("len", descending=True)["len"].to_list()

    def draw_stars(axes: "Axes") -> None:
        axes.bar(stars["rating"].to_list(), stars["len"].to_list(), width=0.4, color=ACCENT)
        axes.set(xlabel="stars", ylabel="ratings")

    def draw_popularity(axes: "Axes") -> None:
        axes.loglog(range(1, len(popularity) + 1), popularity, color=ACCENT)
        axes.set(xlabel="rank of the movie", ylabel="ratings")

    counts = {"n_users": ratings["user_id"].n_unique(), "n_items": ratings["item_id"].n_unique()}
    return {**table_metadata(ratings), **counts, "stars": picture(draw_stars), "popularity": picture(draw_popularity)}


def splits_metadata(splits: "Splits") -> Metadata:
    """Each slice's dates and number of users."""
    from recsys_core.evaluation.rendering import markdown_table

    users = dict(splits.users.group_by("slice").len().iter_rows())
    dated = splits.cutoffs.with_columns(
        pl.from_epoch(pl.col("fit_end", "until"), time_unit="s").dt.date().cast(pl.String)
    )
    rows = [[name, start, end, str(users.get(name, 0))] for name, start, end in dated.iter_rows()]
    return {"slices": dg.MetadataValue.md(markdown_table(["slice", "models see up to", "ends", "users"], rows))}


def training_metadata(towers: Mapping[str, "FittedTower"]) -> Metadata:
    """Loss of every tower by epoch."""

    def draw(axes: "Axes") -> None:
        for name, tower in towers.items():
            axes.plot(range(1, len(tower.losses) + 1), tower.losses, label=name, linewidth=1)
        axes.set(xlabel="epoch", ylabel="training loss")
        axes.legend(fontsize=7, frameon=False, labelcolor=INK)

    last = list(towers.values())[-1]
    return {"loss": float(last.losses[-1]), "n_items": last.catalogue.n_items, "training": picture(draw)}


def index_metadata(index: "ItemIndex") -> Metadata:
    """What kind of index it is and how much it holds."""
    return {
        "n_items": index.n_items,
        "n_dimensions": int(index.faiss_index.d),
        "kind": type(index.faiss_index).__name__,
    }


def retrieval_metadata(report: "RetrievalReport") -> Metadata:
    """Recall against the number of candidates."""
    means = report.recall.group_by("k").agg(pl.col("recall").mean()).sort("k")

    def draw(axes: "Axes") -> None:
        axes.plot(means["k"].to_list(), means["recall"].to_list(), marker="o", markersize=3, color=ACCENT)
        axes.set(xlabel="candidates k", ylabel="recall@k", ylim=(0, 1))

    return {"recall_by_k": picture(draw)}


def ranking_metadata(report: "RankingReport") -> Metadata:
    """What moves scores, and whether probabilities hold: a picture and a table of each."""

    def draw_shap(axes: "Axes") -> None:
        table = report.importance.reverse()
        axes.barh(table["feature"].to_list(), table["mean_abs_shap"].to_list(), color=ACCENT)
        axes.tick_params(axis="y", labelsize=6)
        axes.margins(y=0.01)
        axes.set(xlabel="mean |SHAP value|")

    def draw_reliability(axes: "Axes") -> None:
        table = report.reliability
        stated, true = table["predicted"].to_numpy(), table["observed"].to_numpy()
        reach = [true - table["low"].to_numpy(), table["high"].to_numpy() - true]
        axes.axline((0, 0), slope=1, color=INK, linewidth=1, linestyle="--")  # what is stated comes true
        axes.errorbar(stated, true, yerr=reach, color=ACCENT, marker="o", markersize=4, linewidth=1)
        axes.set(xlabel="stated probability of a like", ylabel="share liked", xlim=(0, None), ylim=(0, None))

    return {
        "shap": picture(draw_shap, height=4.0),
        "importance": _figures(report.importance),
        "reliability": picture(draw_reliability),
        "reliability_bins": _figures(report.reliability),
        "forecasts": _figures(report.forecasts),
    }


def _figures(table: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """A table of figures as it is, floats with four digits."""
    from recsys_core.evaluation.rendering import markdown_table

    rows = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.iter_rows()]
    return dg.MetadataValue.md(markdown_table(table.columns, rows))


def trials_metadata(trials: pl.DataFrame) -> Metadata:
    """Every setting tried, best first."""
    from recsys_core.evaluation.rendering import markdown_table

    ordered = trials.sort("model", "ndcg_at_10", descending=[False, True])
    rows = [[str(row[0]), str(row[1]), *(f"{value:.4f}" for value in row[2:])] for row in ordered.iter_rows()]
    return {"n_trials": trials.height, "trials": dg.MetadataValue.md(markdown_table(trials.columns, rows))}


def served_metadata(served: "Served") -> Metadata:
    """How much there is, and how often a default stood in for a feature."""
    return {**table_metadata(served.impressions), "degraded": _figures(served.degraded_shares())}


def parity_metadata(report: "ParityReport") -> Metadata:
    """What differs, or that nothing does."""
    differing = report.columns.filter(pl.col("n_mismatches") > 0)
    return {"at_fault": _figures(differing) if differing.height else dg.MetadataValue.md("nothing differs in any bit")}


def drift_metadata(report: "Watch") -> Metadata:
    """How far each column is from the reference, now and over time."""
    columns = report.drift.columns.sort("ks", nulls_last=False)
    colours = [ALARM if is_drift else ACCENT for is_drift in columns["is_drift"]]

    def draw_now(axes: "Axes") -> None:
        axes.barh(columns["column"].to_list(), columns["ks"].fill_null(0).to_list(), color=colours)
        axes.tick_params(axis="y", labelsize=6)
        axes.margins(y=0.01)
        axes.set(xlabel="largest gap of shares (red: beyond chance)")

    def draw_over_time(axes: "Axes") -> None:
        strongest = columns["column"].reverse().head(6)
        for name in strongest:
            own = report.periods.filter(column=name)
            axes.plot(
                pl.from_epoch(own["period"]).to_list(), own["psi"].to_list(), label=name, marker="o", markersize=3
            )
        axes.tick_params(axis="x", labelsize=6, rotation=30)
        axes.set(ylabel="stability index")
        axes.figure.legend(fontsize=6, frameon=False, labelcolor=INK, loc="outside upper center", ncols=2)

    return {
        "verdict": report.drift.verdict(),
        "drift": picture(draw_now, height=4.4),
        "over_time": picture(draw_over_time),
        "columns": _figures(columns.reverse()),
    }


def eval_metadata(report: "EvalReport") -> Metadata:
    """The report's tables, as the terminal and the README show them."""
    from recsys_core.evaluation import rendering
    from recsys_core.evaluation.report import OURS

    def draw_funnel(axes: "Axes") -> None:
        table = report.funnel.reverse()
        axes.barh(table["fate"].to_list(), table["share"].to_list(), color=ACCENT)
        axes.set(xlabel="share of held-out likes")

    return {
        "results": dg.MetadataValue.md(rendering.headline_table(report)),
        "comparison": dg.MetadataValue.md(rendering.comparison_table(report)),
        "funnel": dg.MetadataValue.md(rendering.funnel_table(report)),
        "beyond_accuracy": dg.MetadataValue.md(rendering.breadth_table(report)),
        "user_slices": dg.MetadataValue.md(rendering.slices_table(report, OURS)),
        "item_slices": dg.MetadataValue.md(rendering.item_slices_table(report)),
        "funnel_picture": picture(draw_funnel),
    }


def picture(draw: Callable[["Axes"], None], height: float = 2.6) -> dg.MarkdownMetadataValue:
    """A small inline picture; `draw` fills the axes."""
    from matplotlib.figure import Figure  # not pyplot, whose global state would outlive the asset

    figure = Figure(figsize=(4.6, height), layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, transparent=True)
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")
