"""The ordered list."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from recsys_core.data.splits import known_ratings
from recsys_core.ranking.inputs import RankingInputs, candidate_features, generate_candidates
from recsys_core.ranking.lists import rank
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.candidates import Candidates
from tests.core.worlds import N_CANDIDATES, TinyRun


class Constant(Ranker):
    """Scores everything alike."""

    def score(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.ones(len(features), dtype=np.float32)


@pytest.fixture(scope="module")
def inputs(tiny: TinyRun) -> RankingInputs:
    known = known_ratings(tiny.ratings, tiny.splits, tiny.asked)
    return generate_candidates(
        tiny.generator(indexed=True), known, tiny.splits.requests(tiny.asked), n_candidates=N_CANDIDATES
    )


def test_a_list_is_the_candidates_by_the_rankers_score(tiny: TinyRun, inputs: RankingInputs) -> None:
    ranked = rank(tiny.ranker, inputs)
    features = candidate_features(inputs)
    for user in range(inputs.users.n_users):
        scores = tiny.ranker.score(features[user])
        by_hand = sorted(range(N_CANDIDATES), key=lambda place: (-scores[place], place))
        assert ranked.item_idx[user].tolist() == inputs.candidates.item_idx[user][by_hand].tolist()
        assert ranked.scores[user].tolist() == scores[by_hand].tolist()
    assert not np.array_equal(ranked.item_idx, inputs.candidates.item_idx)


def test_equal_scores_keep_the_order_of_retrieval(tiny: TinyRun, inputs: RankingInputs) -> None:
    constant = Constant(booster=tiny.ranker.booster, feature_set={}, n_candidates=N_CANDIDATES)
    assert np.array_equal(rank(constant, inputs).item_idx, inputs.candidates.item_idx)


def test_padding_stays_at_the_end(tiny: TinyRun, inputs: RankingInputs) -> None:
    item_idx, scores = inputs.candidates.item_idx.copy(), inputs.candidates.scores.copy()
    item_idx[0, 5:], scores[0, 5:] = -1, -np.inf
    item_idx[1], scores[1] = -1, -np.inf
    ranked = rank(tiny.ranker, replace(inputs, candidates=Candidates(item_idx=item_idx, scores=scores)))
    assert sorted(ranked.item_idx[0, :5].tolist()) == sorted(item_idx[0, :5].tolist())
    assert ranked.item_idx[0, 5:].tolist() == [-1] * (N_CANDIDATES - 5)
    assert ranked.item_idx[1].tolist() == [-1] * N_CANDIDATES
    assert np.all(np.isneginf(ranked.scores[ranked.item_idx < 0]))


def test_nobody_with_any_candidate_is_no_fault(tiny: TinyRun, inputs: RankingInputs) -> None:
    nothing = Candidates(
        item_idx=np.full_like(inputs.candidates.item_idx, -1), scores=np.full_like(inputs.candidates.scores, -np.inf)
    )
    assert (rank(tiny.ranker, replace(inputs, candidates=nothing)).item_idx == -1).all()
