"""What must hold before anything is shown to people."""

from recsys_core.evaluation.report import EvalReport


def beats(report: EvalReport, other: str) -> bool:
    """Whether our lead over another model is beyond chance: the paired 95 % interval lies above zero."""
    return report.lead_over(other)[1] > 0


def funnel_is_whole(report: EvalReport) -> bool:
    """Whether every target has exactly one fate."""
    return (
        int(report.funnel["n_targets"].sum()) == report.fates.height
        and abs(float(report.funnel["share"].sum()) - 1.0) < 1e-9
    )


def denominators_agree(report: EvalReport) -> bool:
    """Whether every model was averaged over the same users: nobody may drop those whom it serves badly."""
    return report.summary["n"].n_unique() == 1
