"""Stage 5, ranking: labelled candidates of the past, the ranker that learns from them, and its gain over retrieval."""

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
    """How many candidates the ranker learns to order, and how many of the shown movies."""


@from_settings("ranker")
class RankerRun(dg.Config, RankerConfig, ListRulesConfig):
    """How the trees are grown, and the rules over a whole list that serving applies after them."""


@versioned_asset(
    deps=[
        "ratings", "splits", "item_features", "user_features", "two_tower", "implicit_feedback", "impression_outcomes",
    ],
    form=RankingExamplesRun,
    libraries=["numpy", "polars", "pyarrow", "scipy"],
    kinds=["polars", "parquet"],
)  # fmt: skip
def ranking_examples(context: dg.AssetExecutionContext, config: RankingExamplesRun, lake: LakeResource) -> Published:
    """The rows that the ranker learns from: candidates of past queries, with features and whether the user liked them.

    For each window of `splits`, the model of `two_tower` that was fitted before it proposes candidates. Their features
    are computed from what was known then, their labels from what users liked afterwards. The movies that users were
    really shown come from `impression_outcomes`. Each row says when its label became known (`known_at`); a ranker
    learns only from labels that were known when it was fitted. Look at `like_share` for how rare likes are, and at
    `missing`.
    """
    from functools import partial

    from recsys_core.data.splits import Splits
    from recsys_core.features.tables import SliceFeatures
    from recsys_core.ranking.schemas import is_shown
    from recsys_core.ranking.training_rows import LoggedFeedback, examples_of_slices, shown_rows
    from recsys_core.retrieval.model import load_retrieval_model

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
    """The model that orders the candidates: LambdaMART trees (XGBoost), trained on `ranking_examples`.

    The ranker that serves learns from all rows. Beside it, the asset holds one ranker per evaluation window with the
    same settings, trained on what was known before that window. Their answers are evaluated, and calibrate the
    probabilities of the ranker that serves. Look at `learning`: a large gap between the two lines means that the trees
    overfit.
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
    """How much the ranker improves the order of retrieval, on the development windows, and which features matter.

    Each window is answered by the ranker of that window, which has not seen it. Look at the gain in NDCG, at `shap` for
    the features that move scores most, and at `reliability` for whether the stated probabilities come true.
    """
    from recsys_core.ranking.rankers import load_window_ranker
    from recsys_core.ranking.report import ranking_report as make_report
    from recsys_core.ranking.training_rows import RankingExamples

    run = AssetRun(context, lake)
    examples = RankingExamples.load(run.folder("ranking_examples"))
    folder = run.folder("ranker")
    report = make_report(examples, {window: load_window_ranker(folder, window) for window in examples.development})
    return run.publish(report.save, facts=report.headline(), metadata=ranking_metadata(report))
