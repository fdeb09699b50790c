"""Gates: conditions that a report must meet before a model is shown to people."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import polars as pl

from recsys_core.data.splits import TEST
from recsys_core.evaluation.baselines.tuning import BASELINES
from recsys_core.evaluation.protocols import REFITTED
from recsys_core.evaluation.report import OURS, EvalReport, pooled


def beats(report: EvalReport, other: str) -> bool:
    """Whether our lead over another model is beyond chance: the paired 95 % interval lies above zero."""
    return report.lead_over(other)[1] > 0


def funnel_is_whole(report: EvalReport) -> bool:
    """Whether every target that the metrics count has exactly one fate in the funnel."""
    n_targets = int(report.per_user.filter(model=OURS, window=TEST, protocol=REFITTED)["n_targets"].sum())
    return (
        n_targets == report.fates.height == report.fates.select("user_id", "item_id").n_unique()
        and n_targets == int(report.funnel["n_targets"].sum())
        and abs(float(report.funnel["share"].sum()) - 1.0) < 1e-9
    )


def denominators_agree(report: EvalReport) -> bool:
    """Whether every model was averaged over all users with targets, so that no model drops users it serves badly.

    Checked for every protocol and window, and for the pools, in which a user counts once for each window.
    """
    asked = report.per_user.unique(["protocol", "window", "user_id"], maintain_order=True)
    sizes = pooled(asked).group_by("protocol", "window").agg(asked=pl.len())
    wanted = sizes.join(report.per_user.select("model").unique(), how="cross")
    counted = report.summary.group_by("protocol", "window", "model").agg(pl.col("n").min(), most=pl.col("n").max())
    both = wanted.join(counted, on=["protocol", "window", "model"], how="full", coalesce=True)
    is_right = (pl.col("n") == pl.col("asked")) & (pl.col("most") == pl.col("asked"))
    return bool(both.select(is_right.fill_null(value=False).all()).item())


def missing_baselines(report: EvalReport) -> AbstractSet[str]:
    """Baselines that are missing from a window of the report: without its strongest rival, any model would lead."""
    places = pl.struct("protocol", "window")
    counted = report.summary.group_by("model").agg(n=places.n_unique())
    everywhere = counted.filter(pl.col("n") == report.summary.select(places.n_unique()).item())
    return {baseline.name for baseline in BASELINES} - set(everywhere["model"])


@dataclass(frozen=True, kw_only=True)
class SegmentLead:
    """Our mean minus that of another model over a segment of the users."""

    name: str
    lead: float
    n: int


def worst_segment(report: EvalReport, other: str) -> SegmentLead | None:
    """The segment with our smallest lead over another model, among segments with enough users.

    None where no segment has enough users, or the other model is not in the report. Both means are over the same users.
    There is no interval, because a segment has too few users for more than a warning.
    """
    means = report.user_slices.filter(pl.col("mean").is_not_nan()).select("model", "dimension", "slice", "mean", "n")
    both = means.filter(model=OURS).join(means.filter(model=other), on=["dimension", "slice"], suffix="_other")
    if both.is_empty():
        return None
    leads = both.with_columns(lead=pl.col("mean") - pl.col("mean_other")).sort("lead", "dimension", "slice")
    row = leads.row(0, named=True)
    return SegmentLead(name=f"{row['dimension']}: {row['slice']}", lead=row["lead"], n=row["n"])
