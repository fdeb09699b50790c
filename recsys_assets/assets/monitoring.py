"""Stage 8, monitoring: is what is served computed as it was learned, and still like before?"""

import dagster as dg

from recsys_assets.asset_specs import versioned_asset
from recsys_assets.metadata.monitoring import drift_metadata, parity_metadata, served_metadata
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.refresh.planner import closed_until
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.monitoring.config import DriftConfig, PastConfig
from recsys_core.serving.parts import PARTS

LIBRARIES = ("torch", "faiss-cpu", "xgboost", "numpy", "scipy", "polars", "pyarrow")


@from_settings("past_requests")
class PastRequestsRun(dg.Config, PastConfig):
    """How the release is asked about the past."""


@from_settings("drift_report")
class DriftReportRun(dg.Config, DriftConfig):
    """When a window is said to have drifted."""


@versioned_asset(deps=PARTS, form=PastRequestsRun, libraries=LIBRARIES, kinds=["xgboost", "faiss"])
def past_requests(context: dg.AssetExecutionContext, config: PastRequestsRun, lake: LakeResource) -> Published:
    """What the release would have shown before each of the latest ratings, one request at a time, as a service does.

    Requests that are like real ones before there are any: parity is tried on them.
    """
    from recsys_core.monitoring.past import serve_past
    from recsys_core.serving.bundle import read_bundle

    run = AssetRun(context, lake, config)
    served = serve_past(read_bundle(run.folders(PARTS)), config.k, config.max_requests)
    return run.publish(
        served.save,
        times=served.requests["requested_at"],
        facts={"n_requests": served.requests.height, "n_slots": served.impressions.height},
        metadata=served_metadata(served),
    )


@versioned_asset(deps=[*PARTS, "past_requests"], outside=["served"], libraries=LIBRARIES, kinds=["polars"])
def parity_report(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """Every logged request asked again from the raw log, and the whole answer compared bit for bit.

    The requests are those of the event log, up to the last closed day, and those that the release was asked of the
    past. Of the log come also what users were shown before a request, and what they clicked.
    """
    from recsys_core.feedback.deduplication import served_version
    from recsys_core.feedback.set_aside import requests_set_aside
    from recsys_core.monitoring.parity import parity_report as make_report
    from recsys_core.monitoring.served import Served, served_until
    from recsys_core.serving.bundle import read_bundle

    run, until = AssetRun(context, lake), closed_until()
    with lake.open_log() as log:
        run.read_from_outside("served", served_version(log, until))
        logged, excluded = served_until(log, until), log.imported_requests() | requests_set_aside(log)
    ratings, clicks = (run.table("interaction_log_head", name) for name in ("interaction_log_head", "clicks"))
    past = Served.load(run.folder("past_requests"))
    report = make_report(logged, read_bundle(run.folders(PARTS)), ratings, clicks, past, excluded)
    return run.publish(report.save, facts=report.headline(), metadata=parity_metadata(report))


@versioned_asset(
    deps=["ranking_examples", "ranker"],
    outside=["served"],
    form=DriftReportRun,
    libraries=["xgboost", "numpy", "polars", "pyarrow"],
    kinds=["polars"],
)
def drift_report(context: dg.AssetExecutionContext, config: DriftReportRun, lake: LakeResource) -> Published:
    """Whether features and scores of what is shown are still like those of the period before.

    Compares two periods of the event log, up to the last closed day, where both hold enough users; else the last two
    examined windows.
    """
    from functools import partial

    from recsys_core.feedback.deduplication import served_version
    from recsys_core.feedback.set_aside import requests_set_aside
    from recsys_core.monitoring.served import served_until
    from recsys_core.monitoring.watch import watch
    from recsys_core.ranking.rankers import load_examined
    from recsys_core.ranking.training_rows import RankingExamples

    run, until = AssetRun(context, lake, config), closed_until()
    with lake.open_log() as log:
        run.read_from_outside("served", served_version(log, until))
        logged = served_until(log, until).without(requests_set_aside(log))
    examples = RankingExamples.load(run.folder("ranking_examples"))
    report = watch(logged, examples, partial(load_examined, run.folder("ranker")), config)
    return run.publish(report.save, facts=report.headline(), metadata=drift_metadata(report))
