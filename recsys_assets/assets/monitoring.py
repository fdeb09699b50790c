"""Stage 8, monitoring: whether serving computes what training computed, and whether the data has drifted."""

import dagster as dg

from recsys_assets.asset_specs import versioned_asset
from recsys_assets.metadata.monitoring import drift_metadata, parity_metadata, served_metadata
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.refresh.planner import closed_until
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.monitoring.config import DriftConfig, PastConfig
from recsys_core.serving import PARTS

LIBRARIES = ("faiss-cpu", "xgboost", "numpy", "scipy", "polars", "pyarrow")


@from_settings("past_requests")
class PastRequestsRun(dg.Config, PastConfig):
    """How past requests are replayed."""


@from_settings("drift_report")
class DriftReportRun(dg.Config, DriftConfig):
    """When a period counts as drifted."""


@versioned_asset(deps=PARTS, form=PastRequestsRun, libraries=LIBRARIES, kinds=["xgboost", "faiss"])
def past_requests(context: dg.AssetExecutionContext, config: PastRequestsRun, lake: LakeResource) -> Published:
    """What the models that serve would have shown before each of the latest ratings, one request at a time.

    These requests resemble real ones, so `parity_report` can be tried before the first real request arrives. Look at
    `feature_states` and `degraded` for features whose value was missing or too old, so that the ranker read a default.
    """
    from recsys_core.monitoring.served import historical_requests
    from recsys_core.serving.bundle import read_bundle

    run = AssetRun(context, lake, config)
    served = historical_requests(read_bundle(run.folders(PARTS)), config.k, config.max_requests)
    return run.publish(
        served.save,
        times=served.requests["requested_at"],
        facts={"n_requests": served.requests.height, "n_slots": served.impressions.height},
        metadata=served_metadata(served),
    )


@versioned_asset(deps=[*PARTS, "past_requests"], outside=["served"], libraries=LIBRARIES, kinds=["polars"])
def parity_report(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """Whether every logged answer can be computed again from the raw ratings, bit for bit.

    It repeats the requests of the event log, up to the last closed day, and those of `past_requests`. It reads the
    ratings and clicks that had arrived by then, and what users had been shown, and compares lists, scores and every
    feature. A difference means that training and serving compute a feature in two ways. Look at `list_faults` and
    `at_fault`, which name what differs.
    """
    from recsys_core.feedback.deduplication import served_version
    from recsys_core.feedback.quarantine import excluded_requests
    from recsys_core.monitoring.parity import parity_report as make_report
    from recsys_core.monitoring.served import Served, served_until
    from recsys_core.serving.bundle import read_bundle

    run, until = AssetRun(context, lake), closed_until()
    with lake.open_log() as log:
        run.read_from_outside("served", served_version(log, until))
        logged, excluded = served_until(log, until), log.imported_requests() | excluded_requests(log)
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
    """Whether the features and scores of shown movies still have the distributions of the period before.

    It compares two periods of the event log, up to the last closed day, if both hold enough users. Otherwise it
    compares the last two evaluation windows of `ranking_examples`. Look at `verdict`, then at `drift` for the columns
    that moved most.
    """
    from functools import partial

    from recsys_core.feedback.deduplication import served_version
    from recsys_core.feedback.quarantine import excluded_requests
    from recsys_core.monitoring.drift_window import window_drift
    from recsys_core.monitoring.served import served_until
    from recsys_core.ranking.rankers import load_window_ranker
    from recsys_core.ranking.training_rows import RankingExamples

    run, until = AssetRun(context, lake, config), closed_until()
    with lake.open_log() as log:
        run.read_from_outside("served", served_version(log, until))
        logged = served_until(log, until).without(excluded_requests(log))
    examples = RankingExamples.load(run.folder("ranking_examples"))
    report = window_drift(logged, examples, partial(load_window_ranker, run.folder("ranker")), config)
    return run.publish(report.save, facts=report.headline(), metadata=drift_metadata(report))
