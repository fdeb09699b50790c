"""What must hold of what is served."""

import dagster as dg

from recsys_assets.resources import LakeResource


@dg.asset_check(asset="parity_report", blocking=True)
def online_features_equal_offline_ones(lake: LakeResource) -> dg.AssetCheckResult:
    """Of every logged request, each value that the ranker read has the bits that training would have computed."""
    from recsys_core.monitoring.parity import ParityReport

    report = ParityReport.load(lake.store.open("parity_report"))
    headline = report.headline()
    return dg.AssetCheckResult(
        passed=report.is_clean(), metadata={**headline, "at_fault": dg.MetadataValue.json(report.at_fault())}
    )


@dg.asset_check(asset="drift_report")
def served_features_are_like_the_learned_ones(lake: LakeResource) -> dg.AssetCheckResult:
    """No feature and no score has drifted beyond chance, and there were enough users to tell.

    It only warns: people change, and whether the models still serve them is for an evaluation to say.
    """
    from recsys_core.monitoring.watch import Watch

    drift = Watch.load(lake.store.open("drift_report")).drift
    return dg.AssetCheckResult(
        passed=drift.is_judged and not drift.drifted(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"verdict": drift.verdict(), "drifted": dg.MetadataValue.json(drift.drifted())},
    )
