"""Stage 6, evaluation: the whole system beside tuned baselines, on what nothing has seen."""

import dagster as dg

from recsys_assets.metadata.evaluation import baselines_metadata, eval_metadata
from recsys_assets.pools import TRAINING
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.recipes import versioned_asset
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.retrieval.baselines.config import BaselinesConfig


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
    """Popularity, recent popularity, ItemKNN, EASE and iALS, each tuned on the validation slice with the same budget.

    A gain over something simple that nobody tuned would be no gain. They hand in lists for the test's users without
    reading the test's targets.
    """
    from recsys_core.data.splits import Splits
    from recsys_core.evaluation.baselines import baseline_lists

    run = AssetRun(context, lake, config)
    made = baseline_lists(run.table("ratings"), Splits.load(run.folder("splits")), config)
    return run.publish(made.save, metadata=baselines_metadata(made))


@versioned_asset(
    deps=[
        "ratings",
        "movies",
        "splits",
        "item_features",
        "user_features",
        "two_tower",
        "faiss_index",
        "ranker",
        "baselines",
    ],
    form=EvalReportRun,
    libraries=["torch", "faiss-cpu", "xgboost", "numpy", "scipy", "polars", "pyarrow"],
    kinds=["polars"],
)
def eval_report(context: dg.AssetExecutionContext, config: EvalReportRun, lake: LakeResource) -> Published:
    """The final figures on the test slice: accuracy with intervals, the funnel, slices, and what lies beyond accuracy.

    The only asset that opens the test's targets.
    """
    from recsys_core.data.splits import Splits
    from recsys_core.evaluation.baselines import BaselineLists
    from recsys_core.evaluation.end_to_end import TestInputs, evaluate_end_to_end
    from recsys_core.ranking.ranker import Ranker
    from recsys_core.retrieval.index import ItemIndex
    from recsys_core.retrieval.storage import load_tower

    run = AssetRun(context, lake, config)
    inputs = TestInputs(
        ratings=run.table("ratings"),
        movies=run.table("movies"),
        splits=Splits.load(run.folder("splits"), with_test_targets=True),
        items=run.table("item_features"),
        users=run.table("user_features"),
        tower=load_tower(run.folder("two_tower"), "test"),
        index=ItemIndex.load(run.folder("faiss_index")),
        ranker=Ranker.load(run.folder("ranker")),
        baselines=BaselineLists.load(run.folder("baselines")).lists,
    )
    report = evaluate_end_to_end(inputs, config)
    return run.publish(
        report.save, times=inputs.ratings["timestamp"], facts=report.headline(), metadata=eval_metadata(report)
    )
