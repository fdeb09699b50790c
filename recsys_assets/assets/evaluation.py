"""Stage 6, evaluation: the whole system beside tuned baselines, on what nothing has seen."""

import dagster as dg
from pydantic import JsonValue

from recsys_assets.asset_specs import versioned_asset
from recsys_assets.metadata.evaluation import baselines_metadata, eval_metadata
from recsys_assets.pools import TRAINING
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.days import moment
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.config import EvaluationConfig


@from_settings("baselines")
class BaselinesRun(dg.Config, BaselinesConfig):
    """How hard the baselines are tuned."""


@from_settings("eval_report")
class EvalReportRun(dg.Config, EvaluationConfig):
    """How the final figures are taken."""


@versioned_asset(
    deps=["ratings", "splits"],
    form=BaselinesRun,
    libraries=["numpy", "scipy", "polars", "pyarrow"],
    kinds=["scipy"],
    pool=TRAINING,
)
def baselines(context: dg.AssetExecutionContext, config: BaselinesRun, lake: LakeResource) -> Published:
    """Popularity, recent popularity, ItemKNN, EASE and iALS, tuned with the same budget and refitted like our models.

    A gain over something simple that nobody tuned would be no gain. They are tuned on development windows, and hand in
    lists for the users of every window without reading the test's targets.
    """
    from recsys_core.data.splits import Splits
    from recsys_core.evaluation.baselines.lists import baseline_lists

    run = AssetRun(context, lake, config)
    made = baseline_lists(run.table("ratings", "every_rating"), Splits.load(run.folder("splits")), config)
    return run.publish(made.save, metadata=baselines_metadata(made))


@versioned_asset(
    deps=["ratings", "movies", "splits", "item_features", "two_tower", "faiss_index", "ranker", "baselines"],
    form=EvalReportRun,
    libraries=["torch", "faiss-cpu", "xgboost", "numpy", "scipy", "polars", "pyarrow"],
    kinds=["polars"],
)
def eval_report(context: dg.AssetExecutionContext, config: EvalReportRun, lake: LakeResource) -> Published:
    """What users get from the system, window by window and pooled: accuracy with intervals, the funnel, and more.

    The models that are examined are those of each window, which had not seen it. What serves has the same settings and
    has learned from everything: it can't be examined, and `learned_until` says until when it has learned.
    """
    from functools import partial

    from recsys_core.data.splits import NOW, Splits
    from recsys_core.evaluation.baselines.lists import BaselineLists
    from recsys_core.evaluation.end_to_end import SystemInputs, evaluate_end_to_end
    from recsys_core.ranking.rankers import load_examined
    from recsys_core.retrieval.config import IndexConfig
    from recsys_core.retrieval.storage import load_retrieval_model

    run = AssetRun(context, lake, config)
    splits = Splits.load(run.folder("splits"), with_test_targets=True)
    inputs = SystemInputs(
        ratings=run.table("ratings", "every_rating"),
        splits=splits,
        items=run.table("item_features"),
        movies=run.table("movies"),
        model_of=partial(load_retrieval_model, run.folder("two_tower")),
        ranker_of=partial(load_examined, run.folder("ranker")),
        index=IndexConfig.model_validate(run.settings_of("faiss_index")),
        baselines=BaselineLists.load(run.folder("baselines")),
    )
    report = evaluate_end_to_end(inputs, config)
    facts: dict[str, JsonValue] = {
        **report.headline(),
        "examined": ", ".join(splits.exams),
        "serves": "models with the same settings, fitted on everything",
        "learned_until": moment(splits.fit_end(NOW)),
    }
    return run.publish(report.save, times=inputs.ratings["timestamp"], facts=facts, metadata=eval_metadata(report))
