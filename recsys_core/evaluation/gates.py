"""What must hold before anything is shown to people."""

from recsys_core.evaluation.report import OURS, EvalReport


def beats(report: EvalReport, other: str) -> bool:
    """Whether our lead over another model is beyond chance: the paired 95 % interval lies above zero."""
    return report.lead_over(other)[1] > 0


def funnel_is_whole(report: EvalReport) -> bool:
    """Whether every target that the metrics count has exactly one fate."""
    n_targets = int(report.per_user.filter(model=OURS)["n_targets"].sum())
    return (
        n_targets == report.fates.height == report.fates.select("user_id", "item_id").n_unique()
        and n_targets == int(report.funnel["n_targets"].sum())
        and abs(float(report.funnel["share"].sum()) - 1.0) < 1e-9
    )


def denominators_agree(report: EvalReport) -> bool:
    """Whether every model was averaged over all users with targets: nobody may drop those whom it serves badly."""
    return set(report.summary["n"]) == {report.fates["user_id"].n_unique()}
