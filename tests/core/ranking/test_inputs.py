"""One path from a history to the numbers that the ranker reads."""

import numpy as np
import polars as pl

from recsys_core.data.splits import TEST, known_ratings
from recsys_core.features.contract import FEATURE_NAMES
from recsys_core.features.slices import of_slice
from recsys_core.ranking.inputs import candidate_features, propose
from recsys_core.retrieval.encoding import item_vectors, user_vectors
from recsys_core.retrieval.training import encode_items
from tests.core.worlds import N_CANDIDATES, TinyRun


def test_with_and_without_an_index_the_candidates_are_the_same(tiny: TinyRun) -> None:
    known = known_ratings(tiny.ratings, tiny.splits, TEST)
    exact, indexed = (
        propose(tiny.tower, index, known, tiny.item_rows, n_candidates=N_CANDIDATES) for index in (None, tiny.index)
    )
    assert np.array_equal(exact.candidates.item_idx, indexed.candidates.item_idx)
    np.testing.assert_allclose(exact.candidates.scores, indexed.candidates.scores, rtol=1e-5, atol=1e-5)


def test_scores_are_the_towers_dot_products(tiny: TinyRun) -> None:
    known = known_ratings(tiny.ratings, tiny.splits, TEST)
    inputs = propose(tiny.tower, tiny.index, known, tiny.item_rows, n_candidates=N_CANDIDATES)
    users, items = user_vectors(tiny.tower, inputs.users), item_vectors(tiny.tower)
    expected = np.einsum("ud,ucd->uc", users, items[inputs.candidates.item_idx])
    np.testing.assert_allclose(inputs.candidates.scores, expected, rtol=1e-5, atol=1e-5)


def test_a_user_asked_alone_gets_the_features_of_the_batch(tiny: TinyRun) -> None:
    """Training reads precomputed user features of many users, serving computes those of one."""
    known = known_ratings(tiny.ratings, tiny.splits, TEST)
    user_rows = of_slice(tiny.users, TEST)
    batch = propose(tiny.tower, None, known, tiny.item_rows, user_rows=user_rows, n_candidates=N_CANDIDATES)
    features = candidate_features(batch)
    assert features.shape == (len(batch.users.user_ids), N_CANDIDATES, len(FEATURE_NAMES))
    for row, user_id in enumerate(batch.users.user_ids.tolist()):
        own = known.filter(user_id=user_id)
        alone = propose(tiny.tower, tiny.index, own, tiny.item_rows, n_candidates=N_CANDIDATES)
        assert np.array_equal(alone.candidates.item_idx[0], batch.candidates.item_idx[row])
        np.testing.assert_allclose(candidate_features(alone)[0], features[row], rtol=1e-4, atol=1e-5)


def test_users_stand_in_ascending_order_whatever_the_order_of_the_rows(tiny: TinyRun) -> None:
    known = known_ratings(tiny.ratings, tiny.splits, TEST)
    one = propose(tiny.tower, None, known, tiny.item_rows, n_candidates=10)
    other = propose(tiny.tower, None, known.reverse(), tiny.item_rows, n_candidates=10)
    assert np.all(np.diff(one.users.user_ids) > 0)
    assert np.array_equal(one.candidates.item_idx, other.candidates.item_idx)
    assert np.array_equal(candidate_features(one), candidate_features(other), equal_nan=True)


def test_somebody_who_rated_nothing_of_the_catalogue_still_gets_candidates(tiny: TinyRun) -> None:
    stranger = tiny.ratings.head(1).with_columns(item_id=pl.lit(1, pl.Int64))
    inputs = propose(tiny.tower, tiny.index, stranger, tiny.item_rows, n_candidates=10)
    everyone = np.array([*tiny.tower.model.everyone.tolist(), 1.0], dtype=np.float32)
    now = tiny.tower.trend.offered[:, -1]
    best = np.argsort(-(encode_items(tiny.tower.model) @ everyone + now))[:10]
    assert inputs.candidates.item_idx[0].tolist() == best.tolist()
    assert np.isfinite(candidate_features(inputs)[0, :, FEATURE_NAMES.index("pair_retrieval_z")]).all()
