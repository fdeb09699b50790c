"""Stage 5, ranking: labelled candidates of the past, the ranker that learns from them, and what it adds."""

import dagster as dg

from recsys_assets.metadata.ranking import examples_metadata, ranker_metadata, ranking_metadata
from recsys_assets.pools import TRAINING
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.recipes import versioned_asset
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.ranking.config import ListRulesConfig, RankerConfig
from recsys_core.retrieval.config import CandidatesConfig


@from_settings("ranking_examples")
class RankingExamplesRun(dg.Config, CandidatesConfig):
    """How many candidates the ranker learns to order."""


@from_settings("ranker")
class RankerRun(dg.Config, RankerConfig, ListRulesConfig):
    """How the trees are grown, and the rules over a whole list that serving applies after them."""


@versioned_asset(
    deps=["ratings", "splits", "item_features", "user_features", "two_tower", "impression_outcomes"],
    form=RankingExamplesRun,
    libraries=["torch", "numpy", "polars", "pyarrow"],
    kinds=["polars", "parquet"],
)
def ranking_examples(context: dg.AssetExecutionContext, config: RankingExamplesRun, lake: LakeResource) -> Published:
    """Candidates of every slice but the test, with features from what was known and labels from what followed.

    Each slice's candidates come from the tower that was fitted on what its models may see; any other is refused. What
    was really shown stands beside them, as soon as it lies before an exam.
    """
    from functools import partial

    from recsys_core.data.splits import Splits
    from recsys_core.ranking.shown import is_shown, shown_rows
    from recsys_core.ranking.slices import examples_of_slices
    from recsys_core.retrieval.storage import load_tower

    run = AssetRun(context, lake, config)
    ratings, splits = run.table("ratings"), Splits.load(run.folder("splits"))
    items, users = run.table("item_features"), run.table("user_features")
    tower_of = partial(load_tower, run.folder("two_tower"))
    judged = examples_of_slices(ratings, splits, items, users, tower_of, n_candidates=config.n_candidates)
    examples = judged.with_shown(shown_rows(run.table("impression_outcomes"), splits))
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
    """LambdaMART over explicit features, trained on the hold-outs before the test; the one that serves.

    Beside it lies its rehearsal, trained before the validation slice, by which its probabilities are calibrated.
    """
    from recsys_core.ranking.rehearsal import fit_rehearsed

    from recsys_core.data.splits import TEST
    from recsys_core.ranking.examples import RankingExamples

    run = AssetRun(context, lake, config)
    examples = RankingExamples.load(run.folder("ranking_examples"))
    fitted = fit_rehearsed(examples, config).with_list_rules(config)
    facts = {**fitted.facts(), "n_rows": examples.lessons(TEST).height}
    return run.publish(fitted.save, facts=facts, metadata=ranker_metadata(fitted, examples))


@versioned_asset(
    deps=["ranking_examples", "ranker"], libraries=["xgboost", "numpy", "polars", "pyarrow", "scipy"], kinds=["polars"]
)
def ranking_report(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """What ranking adds to the order of retrieval on the validation slice, and which features carry it.

    Also whether its probabilities can be taken at their word. All of it is asked of the rehearsal, a ranker with the
    same settings that never saw that slice.
    """
    from recsys_core.ranking.rehearsal import load_rehearsal

    from recsys_core.ranking.examples import RankingExamples
    from recsys_core.ranking.report import ranking_report as make_report

    run = AssetRun(context, lake)
    examples = RankingExamples.load(run.folder("ranking_examples"))
    report = make_report(examples, load_rehearsal(run.folder("ranker")))
    return run.publish(report.save, facts=report.headline(), metadata=ranking_metadata(report))
