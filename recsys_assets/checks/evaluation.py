"""What must be true of the evaluation report."""

import dagster as dg

from recsys_assets.resources import LakeResource


@dg.asset_check(asset="eval_report", blocking=True)
def report_counts_everybody(lake: LakeResource) -> dg.AssetCheckResult:
    """Every model is averaged over the same users, no baseline is missing, and each held-out like has one fate."""
    from recsys_core.evaluation.gates import denominators_agree, funnel_is_whole, missing_baselines
    from recsys_core.evaluation.report import EvalReport

    report = EvalReport.load(lake.store.open("eval_report"))
    agree, whole, missing = denominators_agree(report), funnel_is_whole(report), sorted(missing_baselines(report))
    return dg.AssetCheckResult(
        passed=agree and whole and not missing,
        metadata={
            "denominators_agree": agree, "funnel_is_whole": whole, "missing_baselines": dg.MetadataValue.json(missing)
        },
    )  # fmt: skip


@dg.asset_check(asset="eval_report")
def system_beats_popularity(lake: LakeResource) -> dg.AssetCheckResult:
    """Our lead in NDCG@10 over tuned popularity is positive, and so is its whole paired 95 % interval.

    The check does not block: a report that honestly shows a weak model is correct, and useful to those who try out
    settings. Whether a model is good enough for users is the decision of a release.
    """
    from recsys_core.evaluation.gates import beats
    from recsys_core.evaluation.report import POPULARITY, EvalReport

    report = EvalReport.load(lake.store.open("eval_report"))
    lead, low, high = report.lead_over(POPULARITY)
    return dg.AssetCheckResult(passed=beats(report, POPULARITY), metadata={"lead": lead, "low": low, "high": high})


@dg.asset_check(asset="eval_report")
def no_slice_is_served_worse_than_by_popularity(lake: LakeResource) -> dg.AssetCheckResult:
    """In every group of users that is large enough to judge, our mean NDCG@10 is at least that of tuned popularity.

    A good overall mean can hide a group that is served badly. The check only warns, because groups are small and each
    is judged by its mean.
    """
    from recsys_core.evaluation.gates import worst_segment
    from recsys_core.evaluation.report import POPULARITY, EvalReport

    worst = worst_segment(EvalReport.load(lake.store.open("eval_report")), POPULARITY)
    return dg.AssetCheckResult(
        passed=worst is not None and worst.lead >= 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"worst_slice": worst.name, "lead": worst.lead, "n": worst.n} if worst else {},
    )
