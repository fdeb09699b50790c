"""The whole system on the test slice: towers, index, features, ranker, list rules, each as it serves."""

from dataclasses import dataclass

import polars as pl

from recsys_core.data.splits import TEST, Splits, fit_ratings, known_ratings
from recsys_core.evaluation.breadth import Audience
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.funnel import Stages
from recsys_core.evaluation.report import EvalReport, evaluate
from recsys_core.features.slices import of_slice
from recsys_core.ranking.inputs import propose, proposer_of
from recsys_core.ranking.list_rules import listed_items, rule_all
from recsys_core.ranking.lists import rank
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.candidates import exact_candidates, seen_at
from recsys_core.retrieval.index import ItemIndex
from recsys_core.retrieval.training import FittedTower


@dataclass(frozen=True, kw_only=True)
class TestInputs:
    """Every part of the system, and the test that it faces."""

    __test__ = False  # pytest would take the name for a test class

    ratings: pl.DataFrame
    movies: pl.DataFrame  # MOVIES, for the titles that list rules read
    splits: Splits  # with the test's targets
    items: pl.DataFrame  # item_features_by_slice
    users: pl.DataFrame  # user_features_by_slice
    tower: FittedTower
    index: ItemIndex
    ranker: Ranker
    baselines: pl.DataFrame  # RANKED_LISTS


def evaluate_end_to_end(inputs: TestInputs, config: EvaluationConfig) -> EvalReport:
    """Answer every test user's request as serving would, and judge the answers."""
    known = known_ratings(inputs.ratings, inputs.splits, TEST)
    item_rows = of_slice(inputs.items, TEST)
    n_candidates, rules = inputs.ranker.n_candidates, inputs.ranker.list_rules
    proposed = propose(
        proposer_of(inputs.tower, item_rows, inputs.index),
        known,
        inputs.splits.requests(TEST),
        user_rows=of_slice(inputs.users, TEST),
        n_candidates=n_candidates,
        rewatch_after_days=rules.rewatch_after_days,
    )
    seen = seen_at(proposed.users, proposed.requested_at, rules.rewatch_after_days)
    exact = exact_candidates(proposed.proposer.item_vectors, proposed.user_vectors, seen, n_candidates)
    ranked = rule_all(rank(inputs.ranker, proposed), listed_items(proposed.proposer, inputs.movies), rules)
    trained_users = fit_ratings(inputs.ratings, inputs.splits, TEST)["user_id"].unique()
    return evaluate(
        Stages(
            users=proposed.users,
            catalogue=inputs.tower.catalogue,
            exact=exact.item_idx,
            found=proposed.candidates.item_idx,
            ranked=ranked.item_idx,
        ),
        inputs.baselines,
        inputs.splits.targets.filter(slice=TEST),
        Audience(
            users=proposed.users,
            catalogue=inputs.tower.catalogue,
            items=item_rows,
            n_trained_users=len(trained_users),
        ),
        trained_users,
        config,
    )
