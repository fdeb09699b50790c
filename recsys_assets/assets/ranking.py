"""Stage 5, ranking: labelled candidates of the past, the ranker that learns from them, and what it adds."""

import dagster as dg

from recsys_assets.asset_specs import versioned_asset
from recsys_assets.metadata.ranking import examples_metadata, ranker_metadata, ranking_metadata
from recsys_assets.pools import TRAINING
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.days import moment
from recsys_core.ranking.config import ListRulesConfig, RankerConfig, ShownConfig


@from_settings("ranking_examples")
class RankingExamplesRun(dg.Config, ShownConfig):
    """How many candidates the ranker learns to order, and how much of what was shown."""


@from_settings("ranker")
class RankerRun(dg.Config, RankerConfig, ListRulesConfig):
    """How the trees are grown, and the rules over a whole list that serving applies after them."""


@versioned_asset(
    deps=[
        "ratings", "splits", "item_features", "user_features", "two_tower", "implicit_feedback", "impression_outcomes",
    ],
    form=RankingExamplesRun,
    libraries=["torch", "numpy", "polars", "pyarrow", "scipy"],
    kinds=["polars", "parquet"],
)  # fmt: skip
def ranking_examples(context: dg.AssetExecutionContext, config: RankingExamplesRun, lake: LakeResource) -> Published:
    """Candidates of every window's questions, with features from what was known and labels from what followed.

    Each slice's candidates come from the tower that was fitted on what its models may see; any other is refused. What
    was really shown stands beside them, as soon as its outcome is known. Each row says from when on its label is
    known: no ranker learns from what was not known when it was fitted.
    """
    from functools import partial

    from recsys_core.data.splits import Splits
    from recsys_core.features.tables import SliceFeatures
    from recsys_core.ranking.schemas import is_shown
    from recsys_core.ranking.training_rows import LoggedFeedback, examples_of_slices, shown_rows
    from recsys_core.retrieval.storage import load_retrieval_model

    run = AssetRun(context, lake, config)
    ratings = run.table("ratings", "every_rating")
    splits = Splits.load(run.folder("splits"), with_test_targets=True)
    features = SliceFeatures(items=run.table("item_features"), users=run.table("user_features"))
    model_of, clicks = partial(load_retrieval_model, run.folder("two_tower")), run.table("implicit_feedback")
    asked = examples_of_slices(ratings, splits, features, model_of, n_candidates=config.n_candidates, clicks=clicks)
    logged = LoggedFeedback(outcomes=run.table("impression_outcomes"), clicks=clicks)
    examples = asked.with_shown(shown_rows(logged, ratings, splits, features.items, model_of, config))
    return run.publish(
        examples.save,
        times=splits.targets["timestamp"],
        facts={
            "n_likes_found": int(examples.rows["label"].sum()),
            "n_shown": examples.rows.filter(is_shown()).height,
            "n_targets": int(examples.n_targets["n_targets"].sum()),
        },
        metadata=examples_metadata(examples),
    )


@versioned_asset(
    deps=["ranking_examples"],
    form=RankerRun,
    libraries=["xgboost", "numpy", "polars", "scipy"],
    kinds=["xgboost"],
    pool=TRAINING,
)
def ranker(context: dg.AssetExecutionContext, config: RankerRun, lake: LakeResource) -> Published:
    """LambdaMART over explicit features, trained on every window and on what was shown; the one that serves.

    Beside it lies one ranker per window with the same settings, trained on what was known before that window: these are
    examined, and by them the probabilities of the one that serves are calibrated.
    """
    from recsys_core.ranking.rankers import fit_rankers
    from recsys_core.ranking.training_rows import RankingExamples

    run = AssetRun(context, lake, config)
    examples = RankingExamples.load(run.folder("ranking_examples"))
    fitted = fit_rankers(examples, config, ListRulesConfig.among(config))
    facts = {**fitted.facts(), "n_rows": examples.rows.height, "learned_until": moment(examples.known_until)}
    return run.publish(fitted.save, facts=facts, metadata=ranker_metadata(fitted, examples))


@versioned_asset(
    deps=["ranking_examples", "ranker"], libraries=["xgboost", "numpy", "polars", "pyarrow", "scipy"], kinds=["polars"]
)
def ranking_report(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """What ranking adds to the order of retrieval on the development windows, and which features carry it.

    Also whether its probabilities can be taken at their word. Each window is asked of a ranker that had not seen it.
    """
    from recsys_core.ranking.rankers import load_examined
    from recsys_core.ranking.report import ranking_report as make_report
    from recsys_core.ranking.training_rows import RankingExamples

    run = AssetRun(context, lake)
    examples = RankingExamples.load(run.folder("ranking_examples"))
    folder = run.folder("ranker")
    report = make_report(examples, {window: load_examined(folder, window) for window in examples.development})
    return run.publish(report.save, facts=report.headline(), metadata=ranking_metadata(report))
