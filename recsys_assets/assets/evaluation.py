"""Stage 6, evaluation: the whole system beside tuned baselines, on answers that no model has seen."""

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
    """How the final figures are computed."""


@versioned_asset(
    deps=["ratings", "splits"],
    form=BaselinesRun,
    libraries=["numpy", "scipy", "polars", "pyarrow"],
    kinds=["scipy"],
    pool=TRAINING,
)
def baselines(context: dg.AssetExecutionContext, config: BaselinesRun, lake: LakeResource) -> Published:
    """Simple recommenders to compare with: popularity, recent popularity, ItemKNN, EASE and iALS.

    A lead over a baseline that was never tuned proves nothing. So each is tuned on the development windows with the
    same number of trials, and refitted as often as our models, on `ratings` and `splits`. The asset stores each one's
    recommendations for the users of every window; it never reads the test's targets. Look at `tuning` and `trials` for
    the settings that were tried.
    """
    from recsys_core.data.splits import Splits
    from recsys_core.evaluation.baselines.tuning import baseline_lists

    run = AssetRun(context, lake, config)
    made = baseline_lists(run.table("ratings", "every_rating"), Splits.load(run.folder("splits")), config)
    return run.publish(made.save, metadata=baselines_metadata(made))


@versioned_asset(
    deps=["ratings", "movies", "splits", "item_features", "two_tower", "faiss_index", "ranker", "baselines"],
    form=EvalReportRun,
    libraries=["faiss-cpu", "xgboost", "numpy", "scipy", "polars", "pyarrow"],
    kinds=["polars"],
)
def eval_report(context: dg.AssetExecutionContext, config: EvalReportRun, lake: LakeResource) -> Published:
    """How good the recommendations are, over all windows and in each, and at which stage liked movies are lost.

    Each window is answered by models that were fitted before it. The models that serve have the same settings but have
    learned from all ratings, so they cannot be evaluated; `learned_until` says up to which time they have learned. Look
    at `at_a_glance` first, then at `results` (our system beside the `baselines`, with intervals), `funnel` (the stage
    at which each liked movie was lost) and `user_slices` (which users are served well, and which are not).
    """
    from functools import partial

    from recsys_core.data.splits import NOW, Splits
    from recsys_core.evaluation.baselines.tuning import BaselineLists
    from recsys_core.evaluation.end_to_end import SystemInputs, evaluate_end_to_end
    from recsys_core.ranking.rankers import load_window_ranker
    from recsys_core.retrieval.config import IndexConfig
    from recsys_core.retrieval.model import load_retrieval_model

    run = AssetRun(context, lake, config)
    splits = Splits.load(run.folder("splits"), with_test_targets=True)
    inputs = SystemInputs(
        ratings=run.table("ratings", "every_rating"),
        splits=splits,
        items=run.table("item_features"),
        movies=run.table("movies"),
        model_of=partial(load_retrieval_model, run.folder("two_tower")),
        ranker_of=partial(load_window_ranker, run.folder("ranker")),
        index=IndexConfig.model_validate(run.settings_of("faiss_index")),
        baselines=BaselineLists.load(run.folder("baselines")),
    )
    report = evaluate_end_to_end(inputs, config)
    facts: dict[str, JsonValue] = {
        **report.headline(),
        "examined": ", ".join(splits.evaluation_windows),
        "serves": "models with the same settings, fitted on everything",
        "learned_until": moment(splits.fit_end(NOW)),
    }
    return run.publish(report.save, times=inputs.ratings["timestamp"], facts=facts, metadata=eval_metadata(report))
