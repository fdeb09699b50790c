"""Metadata of the retrieval stage: how the towers learn, how many likes are found, and the speed of other indexes."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import polars as pl

from recsys_assets.metadata.pictures import ACCENT, ALARM, INK, MARKS, SERIES, legend_above, picture
from recsys_assets.metadata.tables import Lineage, Metadata, figures, table_metadata

if TYPE_CHECKING:  # torch and faiss would slow the loading of definitions
    from matplotlib.axes import Axes

    from recsys_core.data.splits import Splits
    from recsys_core.retrieval.config import TwoTowerConfig
    from recsys_core.retrieval.index import ItemIndex
    from recsys_core.retrieval.model import ItemEmbeddings, RetrievalModel
    from recsys_core.retrieval.report import RetrievalReport, ValidationCurve

REPORT_LINEAGE: Lineage = {
    "slice": ("splits.cutoffs.slice",),
    "user_id": ("splits.users.user_id",),
    "recall": ("splits.item_id",),
    "index_recall.user_id": ("ratings.user_id",),
}


def validation_curve(
    ratings: pl.DataFrame, splits: "Splits", config: "TwoTowerConfig", tell: Callable[[str], None]
) -> "ValidationCurve":
    """A callback that measures recall during training without changing it, and logs the name of each slice.

    It is created here and not in the asset, so that a change to what is measured does not retrain the towers.
    """
    from recsys_core.retrieval.report import ValidationCurve

    return ValidationCurve(ratings=ratings, splits=splits, n_epochs=config.refit_epochs, tell=tell)


def training_metadata(models: Mapping[str, "RetrievalModel"], curve: "ValidationCurve") -> Metadata:
    """The loss of every tower by epoch, and the recall of the last development slice by epoch."""
    points = curve.points()
    first, *others = models.items()

    def draw_loss(axes: "Axes") -> None:
        name, model = first
        axes.plot(range(1, len(model.losses) + 1), model.losses, color=INK, label=f"first tower ({name})")
        for at, (_, refit) in enumerate(others):
            label = "refits, each from the tower before" if not at else None
            axes.plot(range(1, len(refit.losses) + 1), refit.losses, color=ACCENT, linewidth=0.7, label=label)
        axes.set(xlabel="epoch", ylabel="training loss (nats)")
        legend_above(axes, n_columns=2)

    def draw_recall(axes: "Axes") -> None:
        axes.plot(points["epoch"].to_list(), points["recall"].to_list(), marker="o", markersize=4, color=ALARM)
        axes.set(xlabel="epoch of a refit", ylabel="recall@100, last development slice", xlim=(0, None))

    last, best = list(models.values())[-1], points.sort("recall", descending=True, maintain_order=True).row(0)
    return {
        "loss": float(last.losses[-1]),
        "validation_recall@100": points["recall"][-1],
        "best_validation_recall@100": best[1],
        "best_epoch": best[0],
        "n_items": last.catalogue.n_items,
        "n_towers": len(models),
        "training": picture(draw_loss, draw_recall),
    }


def embeddings_metadata(embeddings: "ItemEmbeddings") -> Metadata:
    """The lengths of the vectors: an item with a very long vector is recommended to nearly all users."""
    from recsys_core.retrieval.model import lengths_of

    lengths = lengths_of(embeddings)

    def draw(axes: "Axes") -> None:
        axes.hist(lengths, bins=40, color=ACCENT)
        axes.set(xlabel="length of an item's vector", ylabel="items")

    return {"mean_length": float(lengths.mean()), "largest_length": float(lengths.max()), "lengths": picture(draw)}


def index_metadata(index: "ItemIndex") -> Metadata:
    """The kind and size of the index."""
    return {
        "n_items": index.n_items,
        "n_dimensions": int(index.faiss_index.d),
        "kind": type(index.faiss_index).__name__,
    }


def retrieval_metadata(report: "RetrievalReport", ratings: pl.DataFrame, model: "RetrievalModel") -> Metadata:
    """Recall by number of candidates, and the recall and speed of other indexes over the same vectors."""
    from recsys_core.retrieval.index import index_tradeoff
    from recsys_core.retrieval.model import embed_items, user_vectors
    from recsys_core.retrieval.report import latest_users
    from recsys_core.retrieval.schemas import INDEX_RECALL, RECALL

    means = report.recall.group_by("k").agg(pl.col("recall").mean()).sort("k")
    queries = user_vectors(model, latest_users(ratings, model))
    tried = index_tradeoff(embed_items(model).vectors, queries, time.perf_counter)

    def draw_recall(axes: "Axes") -> None:
        axes.plot(means["k"].to_list(), means["recall"].to_list(), marker="o", markersize=4)
        axes.set(xlabel="candidates k", ylabel="recall@k, development windows", xlim=(0, None), ylim=(0, 1))

    exact = tried.filter(kind="exact").row(0, named=True)
    return {
        **table_metadata(report.recall, RECALL, REPORT_LINEAGE, index_recall=(report.index_recall, INDEX_RECALL)),
        "recall_by_k": picture(draw_recall),
        "exact_search_p50_ms": exact["p50_ms"],
        "exact_search_p95_ms": exact["p95_ms"],
        "index_frontier": picture(lambda axes: _draw_tradeoff(axes, tried)),
        "index_settings": figures(tried),
    }


def _draw_tradeoff(axes: "Axes", tried: pl.DataFrame) -> None:
    """Points further up and to the left are better."""
    efforts = {"exact": "exact", "inverted file": "inverted file, by n_probe", "graph": "graph, by ef"}
    for colour, mark, ((kind,), own) in zip(SERIES, MARKS, tried.group_by("kind", maintain_order=True), strict=False):
        axes.plot(
            own["p50_ms"].to_list(),
            own["recall"].to_list(),
            marker=mark,
            markersize=5,
            color=colour,
            label=efforts[str(kind)],
        )
        for effort, at, recall in own.select("effort", "p50_ms", "recall").iter_rows():
            if effort:
                axes.annotate(str(effort), (at, recall), xytext=(4, -9), textcoords="offset points", fontsize=6)
    axes.set(xlabel="median time of one query (ms)", ylabel="share of the exact answer", xlim=(0, None), ylim=(0, 1.05))
    legend_above(axes, n_columns=3)
