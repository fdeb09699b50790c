"""Metadata of the ranking stage: how the trees learn, which features matter, and whether probabilities come true."""

from typing import TYPE_CHECKING

import polars as pl

from recsys_assets.metadata.features import missing_metadata
from recsys_assets.metadata.pictures import ACCENT, ALARM, INK, MARKS, bars, legend_above, picture
from recsys_assets.metadata.tables import Lineage, Metadata, feature_table_metadata, figures, table_metadata

if TYPE_CHECKING:  # xgboost would slow the loading of definitions
    from matplotlib.axes import Axes

    from recsys_core.ranking.rankers import Rankers
    from recsys_core.ranking.report import RankingReport
    from recsys_core.ranking.training_rows import RankingExamples

EXAMPLES_LINEAGE: Lineage = {
    "slice": ("splits.cutoffs.slice", "impression_outcomes.request_id"),
    "user_id": ("splits.users.user_id", "impression_outcomes.user_id"),
    "item_id": ("item_features.item_id", "impression_outcomes.item_id"),
    "label": ("splits.item_id", "splits.rating", "impression_outcomes.label"),
    "known_at": ("splits.cutoffs.until", "impression_outcomes.settled_at"),
    **{f"cutoffs.{name}": (f"splits.cutoffs.{name}",) for name in ("slice", "window", "fit_end", "until", "is_exam")},
    "n_targets.slice": ("splits.slice",),
    "n_targets.user_id": ("splits.user_id",),
    "n_targets.n_targets": ("splits.item_id",),
}

REPORT_LINEAGE: Lineage = {
    "user_id": ("ranking_examples.user_id",),
    "ndcg": ("ranking_examples.label", "ranking_examples.n_targets.n_targets"),
    "map": ("ranking_examples.label", "ranking_examples.n_targets.n_targets"),
}


def examples_metadata(examples: "RankingExamples") -> Metadata:
    """The labelled candidates, and the share of likes among them."""
    from recsys_core.data.schemas import CUTOFFS
    from recsys_core.features.schemas import example_schema
    from recsys_core.ranking.schemas import N_TARGETS, is_shown

    rows = examples.rows
    others = {"n_targets": (examples.n_targets, N_TARGETS), "cutoffs": (examples.cutoffs, CUTOFFS)}
    return {
        **feature_table_metadata(rows, example_schema(), EXAMPLES_LINEAGE, **others),
        "n_slices": rows.filter(~is_shown())["slice"].n_unique(),
        "n_groups": rows.select("slice", "user_id").n_unique(),
        "like_share": float(rows["label"].cast(pl.Float64).to_numpy().mean()) if rows.height else 0.0,
        **missing_metadata(rows),
    }


def ranker_metadata(fitted: "Rankers", examples: "RankingExamples") -> Metadata:
    """NDCG by number of trees of the last development window's ranker: on that window, and on its training rows."""
    from recsys_core.ranking.diagnostics import learning_curve

    curve = learning_curve(fitted.window_rankers[examples.development[-1]], examples)
    seen = curve.filter("is_new")
    best = seen.sort("ndcg", descending=True, maintain_order=True).row(0, named=True)

    def draw(axes: "Axes") -> None:
        groups = curve.group_by("window", "is_new", maintain_order=True)
        for mark, colour, ((name, is_new), own) in zip(MARKS, (ALARM, ACCENT), groups, strict=False):
            axes.plot(
                own["round"].to_list(),
                own["ndcg"].to_list(),
                marker=mark,
                markersize=4,
                color=colour,
                label=f"{name} ({'never seen' if is_new else 'learned from'})",
            )
        axes.set(xlabel="trees", ylabel="NDCG@10", xlim=(0, None))
        legend_above(axes, n_columns=2)

    return {
        "n_trees": fitted.serving.booster.num_boosted_rounds(),
        "validation_ndcg@10": seen["ndcg"][-1],
        "best_validation_ndcg@10": best["ndcg"],
        "best_n_trees": best["round"],
        "learning": picture(draw),
    }


def ranking_metadata(report: "RankingReport") -> Metadata:
    """Which features move scores, and whether probabilities come true: a picture and a table of each."""
    from recsys_core.ranking.schemas import FORECASTS, IMPORTANCE, PER_USER, RELIABILITY

    strongest = report.importance
    names, values = strongest["feature"].to_list(), strongest["mean_abs_shap"].to_list()
    return {
        **table_metadata(
            report.per_user,
            PER_USER,
            REPORT_LINEAGE,
            importance=(report.importance, IMPORTANCE),
            forecasts=(report.forecasts, FORECASTS),
            reliability=(report.reliability, RELIABILITY),
        ),
        "shap": picture(bars(names, values, "mean |SHAP value|, on the scale of the score"), height=4.4),
        "importance": figures(report.importance),
        "reliability": picture(lambda axes: _draw_reliability(axes, report.reliability)),
        "reliability_bins": figures(report.reliability),
        "forecasts": figures(report.forecasts),
    }


def _draw_reliability(axes: "Axes", table: pl.DataFrame) -> None:
    stated, true = table["predicted"].to_numpy(), table["observed"].to_numpy()
    reach = [true - table["low"].to_numpy(), table["high"].to_numpy() - true]
    axes.axline((0, 0), slope=1, color=INK, linewidth=1, linestyle="--", label="perfect calibration")
    axes.errorbar(
        stated, true, yerr=reach, marker="o", markersize=4, capsize=2, label="bins of equal count, 95 % intervals"
    )
    axes.set(xlabel="stated probability of a like", ylabel="share liked", xlim=(0, None), ylim=(0, None))
    legend_above(axes, n_columns=2)
