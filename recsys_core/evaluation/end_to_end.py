"""The whole system on the test slice: towers, index, features, ranker, each as it serves."""

from dataclasses import dataclass

import polars as pl

from recsys_core.data.splits import TEST, Splits, fit_ratings, known_ratings
from recsys_core.evaluation.breadth import Audience
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.funnel import Stages
from recsys_core.evaluation.report import EvalReport, evaluate
from recsys_core.features.slices import of_slice
from recsys_core.ranking.inputs import propose, proposer_of
from recsys_core.ranking.lists import rank
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.candidates import exact_candidates
from recsys_core.retrieval.index import ItemIndex
from recsys_core.retrieval.training import FittedTower


@dataclass(frozen=True, kw_only=True)
class TestInputs:
    """Every part of the system, and the test that it faces."""

    __test__ = False  # pytest would take the name for a test class

    ratings: pl.DataFrame
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
    proposed = propose(
        proposer_of(inputs.tower, item_rows, inputs.index),
        known,
        inputs.splits.requests(TEST),
        user_rows=of_slice(inputs.users, TEST),
        n_candidates=inputs.ranker.n_candidates,
    )
    n_candidates = inputs.ranker.n_candidates
    exact = exact_candidates(proposed.proposer.item_vectors, proposed.user_vectors, proposed.users, n_candidates)
    trained_users = fit_ratings(inputs.ratings, inputs.splits, TEST)["user_id"].unique()
    return evaluate(
        Stages(
            users=proposed.users,
            catalogue=inputs.tower.catalogue,
            exact=exact.item_idx,
            found=proposed.candidates.item_idx,
            ranked=rank(inputs.ranker, proposed).item_idx,
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
