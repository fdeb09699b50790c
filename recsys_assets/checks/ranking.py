"""What must hold of ranking."""

import dagster as dg

from recsys_assets.resources import LakeResource


@dg.asset_check(asset="ranking_examples", blocking=True)
def features_keep_their_contract(lake: LakeResource) -> dg.AssetCheckResult:
    """Every feature lies within its declared bounds and is missing only where that is declared."""
    from recsys_core.features.contract import violations
    from recsys_core.ranking.examples import RankingExamples

    found = violations(RankingExamples.load(lake.store.open("ranking_examples")).rows)
    return dg.AssetCheckResult(passed=not found, metadata={"violations": dg.MetadataValue.json(found)})


@dg.asset_check(asset="ranking_report")
def ranking_improves_on_retrieval(lake: LakeResource) -> dg.AssetCheckResult:
    """On the validation slice, the ranker's order is no worse than that of retrieval."""
    from recsys_core.ranking.report import RankingReport

    headline = RankingReport.load(lake.store.open("ranking_report")).headline()
    return dg.AssetCheckResult(
        passed=headline["ndcg_gain"] >= 0, severity=dg.AssetCheckSeverity.WARN, metadata=dict(headline)
    )
