"""What must be true of the ranker's training rows and of its report."""

import dagster as dg

from recsys_assets.checks.schemas import result_of
from recsys_assets.resources import LakeResource

MAX_CALIBRATION_ERROR = 1 / 3
"""As a share of the base rate, because an error of one point is small beside 20 % and large beside 1 %. On the shipped
data the error is 0.06, and 0.04 to 0.25 if the users are split into other halves: the bound catches a wrong curve, not
bad luck."""


@dg.asset_check(asset="ranking_examples", blocking=True)
def features_keep_their_contract(lake: LakeResource) -> dg.AssetCheckResult:
    """Every feature is within its declared range, and missing only where the declaration allows it."""
    from recsys_core.features.schemas import example_schema
    from recsys_core.ranking.training_rows import RankingExamples
    from recsys_core.schema_errors import violations

    rows = RankingExamples.load(lake.store.open("ranking_examples")).rows
    return result_of(violations(rows, example_schema()), rows.height)


@dg.asset_check(asset="ranking_report")
def ranking_improves_on_retrieval(lake: LakeResource) -> dg.AssetCheckResult:
    """On the development windows, the ranker's order is better than the order of retrieval, beyond chance."""
    from recsys_core.ranking.report import RankingReport

    headline = RankingReport.load(lake.store.open("ranking_report")).headline()
    return dg.AssetCheckResult(
        passed=headline["ndcg_gain_low"] > 0, severity=dg.AssetCheckSeverity.WARN, metadata=dict(headline)
    )


@dg.asset_check(asset="ranking_report")
def probabilities_can_be_taken_at_their_word(lake: LakeResource) -> dg.AssetCheckResult:
    """On the development windows, stated probabilities differ from what came true by at most a third of the base rate.

    The check also fails if there is no calibration to judge.
    """
    from recsys_core.ranking.report import RankingReport

    headline = RankingReport.load(lake.store.open("ranking_report")).headline()
    names = ("base_rate", "calibration_error", "brier", "brier_of_base_rate", "log_loss", "log_loss_of_base_rate")
    return dg.AssetCheckResult(
        passed=headline["calibration_error"] <= MAX_CALIBRATION_ERROR * headline["base_rate"],
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: headline[name] for name in names},
    )
