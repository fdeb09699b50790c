"""One path from a history to the numbers that the ranker reads."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import known_ratings
from recsys_core.features.registry import FEATURE_NAMES, FEATURES, names_of
from recsys_core.features.schemas import table_schema
from recsys_core.features.state import RequestBatch, user_states
from recsys_core.features.tables import of_slice
from recsys_core.ranking import inputs as inputs_module
from recsys_core.ranking.inputs import (
    RankingInputs,
    after_the_last,
    candidate_features,
    generate_candidates,
    generator_of,
)
from recsys_core.retrieval.model import item_vectors, user_vectors
from recsys_core.schema_errors import violations
from tests.core.worlds import N_CANDIDATES, TinyRun

USER = [FEATURE_NAMES.index(name) for name in names_of("user")]


def of_a_slice(tiny: TinyRun, *, indexed: bool = False, user_rows: pl.DataFrame | None = None) -> RankingInputs:
    known = known_ratings(tiny.ratings, tiny.splits, tiny.asked)
    asked = tiny.splits.requests(tiny.asked)
    # A table of user features rests on the items of its own slice.
    generator = tiny.generator(indexed=indexed) if user_rows is None else tiny.generator(tiny.asked)
    return generate_candidates(generator, known, asked, user_rows=user_rows, n_candidates=N_CANDIDATES)


def test_with_and_without_an_index_the_candidates_are_the_same(tiny: TinyRun) -> None:
    exact, indexed = of_a_slice(tiny), of_a_slice(tiny, indexed=True)
    assert np.array_equal(exact.candidates.item_idx, indexed.candidates.item_idx)
    np.testing.assert_allclose(exact.candidates.scores, indexed.candidates.scores, rtol=1e-5, atol=1e-5)
    assert np.array_equal(candidate_features(exact), candidate_features(indexed), equal_nan=True)


def test_scores_are_the_towers_dot_products(tiny: TinyRun) -> None:
    inputs = of_a_slice(tiny, indexed=True)
    users, items = user_vectors(tiny.model, inputs.users), item_vectors(tiny.model)
    expected = np.einsum("ud,ucd->uc", users, items[inputs.candidates.item_idx])
    np.testing.assert_allclose(inputs.candidates.scores, expected, rtol=1e-5, atol=1e-5)


def test_the_retrieval_score_that_the_ranker_reads_is_the_one_that_was_searched_by(tiny: TinyRun) -> None:
    """It is computed anew from its parts, each from its own slice of the vectors."""
    inputs = of_a_slice(tiny, indexed=True)
    scores = candidate_features(inputs)[..., FEATURE_NAMES.index("pair_retrieval_score")]
    np.testing.assert_allclose(scores, inputs.candidates.scores, rtol=1e-5, atol=1e-5)


def test_each_part_of_the_score_is_its_half_of_the_retriever(tiny: TinyRun) -> None:
    model = replace(tiny.model, ease_weight=0.37)
    known, asked = known_ratings(tiny.ratings, tiny.splits, tiny.asked), tiny.splits.requests(tiny.asked)
    inputs = generate_candidates(generator_of(model, tiny.item_rows), known, asked, n_candidates=N_CANDIDATES)
    features = candidate_features(inputs)
    closed = model.ease.encode_users(inputs.users) @ model.ease.target_factors.T * 0.37
    trend = model.trend.encode_users(inputs.users) @ model.trend.item_factors.T
    for name, scores in (("pair_closed_form_score", closed), ("pair_trend_score", trend)):
        expected = np.take_along_axis(scores, inputs.candidates.item_idx, axis=1)
        np.testing.assert_allclose(features[..., FEATURE_NAMES.index(name)], expected, rtol=1e-4, atol=1e-5)
    total = features[..., FEATURE_NAMES.index("pair_retrieval_score")]
    np.testing.assert_allclose(total, inputs.candidates.scores, rtol=1e-4, atol=1e-5)


def test_a_user_asked_alone_gets_the_bits_of_the_batch(tiny: TinyRun) -> None:
    """Training reads precomputed user features of many users, a request counts those of one."""
    batch = of_a_slice(tiny, user_rows=of_slice(tiny.users, tiny.asked))
    features, generator = candidate_features(batch), tiny.generator(tiny.asked)
    assert features.shape == (len(batch.users.user_ids), N_CANDIDATES, len(FEATURE_NAMES))
    known, asked = known_ratings(tiny.ratings, tiny.splits, tiny.asked), tiny.splits.requests(tiny.asked)
    for row, user_id in enumerate(batch.users.user_ids.tolist()):
        own = known.filter(user_id=user_id)
        alone = generate_candidates(generator, own, asked.filter(user_id=user_id), n_candidates=N_CANDIDATES)
        assert np.array_equal(alone.candidates.item_idx[0], batch.candidates.item_idx[row])
        assert np.array_equal(candidate_features(alone)[0], features[row], equal_nan=True)


@pytest.mark.parametrize("batch", [1, 7, 10**6])
def test_how_many_are_computed_at_once_changes_no_bit(
    tiny: TinyRun, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    inputs = of_a_slice(tiny, user_rows=of_slice(tiny.users, tiny.asked))
    expected = candidate_features(inputs)
    monkeypatch.setattr(inputs_module, "USERS_AT_ONCE", batch)
    assert np.array_equal(candidate_features(inputs), expected, equal_nan=True)


def test_users_stand_in_ascending_order_whatever_the_order_of_the_rows(tiny: TinyRun) -> None:
    known, asked = known_ratings(tiny.ratings, tiny.splits, tiny.asked), tiny.splits.requests(tiny.asked)
    rows = of_slice(tiny.users, tiny.asked)
    one = generate_candidates(tiny.generator(), known, asked, user_rows=rows, n_candidates=10)
    other = generate_candidates(
        tiny.generator(), known.reverse(), asked.reverse(), user_rows=rows.reverse(), n_candidates=10
    )
    assert np.all(np.diff(one.users.user_ids) > 0)
    assert np.array_equal(one.requested_at, other.requested_at)
    assert np.array_equal(one.candidates.item_idx, other.candidates.item_idx)
    assert np.array_equal(candidate_features(one), candidate_features(other), equal_nan=True)


def test_each_user_asks_at_their_own_time(tiny: TinyRun) -> None:
    known = known_ratings(tiny.ratings, tiny.splits, tiny.asked)
    asked = after_the_last(known).sort("user_id", descending=True)
    inputs = generate_candidates(tiny.generator(), known, asked, n_candidates=10)
    last = dict(known.group_by("user_id").agg(pl.col("timestamp").max()).iter_rows())
    assert inputs.requested_at.tolist() == [last[user] + 1 for user in inputs.users.user_ids.tolist()]
    days = candidate_features(inputs)[:, 0, FEATURE_NAMES.index("context_days_since_last")]
    has_history = inputs.users.lengths > 0
    latest = inputs.users.timestamps[inputs.users.offsets[1:][has_history] - 1]
    assert days[has_history].tolist() == pytest.approx(((inputs.requested_at[has_history] - latest) / 86_400).tolist())


def test_no_history_reaches_the_second_of_its_request(tiny: TinyRun) -> None:
    for name in tiny.splits.asking:
        known, asked = known_ratings(tiny.ratings, tiny.splits, name), tiny.splits.requests(name)
        inputs = generate_candidates(tiny.generator(name), known, asked, n_candidates=1)
        assert (inputs.users.timestamps < inputs.requested_at[inputs.users.rows]).all()
        assert (inputs.users.lengths > 0).any()


def test_a_user_whom_the_table_lacks_is_missing_not_zero(tiny: TinyRun) -> None:
    """The table is stale: that must show, and not pass for a user who rated nothing."""
    rows = of_slice(tiny.users, tiny.asked)
    lost = rows["user_id"][1]
    features = candidate_features(of_a_slice(tiny, user_rows=rows.filter(pl.col("user_id") != lost)))
    whole = candidate_features(of_a_slice(tiny, user_rows=rows))
    assert np.isnan(features[1][:, USER]).all()
    assert np.array_equal(np.delete(features, 1, axis=0), np.delete(whole, 1, axis=0), equal_nan=True)
    schema = table_schema("features", {}, FEATURES, unique=[])
    of_lost = pl.DataFrame(features[1], schema=list(FEATURE_NAMES), orient="row")
    assert violations(of_lost, schema) == [f"user_n_ratings is missing in {N_CANDIDATES} rows"]


def test_somebody_unknown_gets_what_everybody_new_gets(tiny: TinyRun) -> None:
    """Whether nothing stands in the ratings or nothing of the catalogue, the best of all is offered."""
    stranger = tiny.ratings.head(1).with_columns(item_id=pl.lit(1, pl.Int64))
    asked = pl.DataFrame({"user_id": [stranger["user_id"][0], 10**6], "requested_at": [2_000_000_000] * 2})
    inputs = generate_candidates(tiny.generator(indexed=True), stranger, asked, n_candidates=10)
    everyone = np.array([*tiny.model.user_encoder.everyone.tolist(), 1.0], dtype=np.float32)
    now = tiny.model.trend.item_factors[:, -1]
    best = np.argsort(-(tiny.model.trained_items @ everyone + now))[:10]
    assert inputs.candidates.item_idx.tolist() == [best.tolist()] * 2
    features = candidate_features(inputs)
    assert np.isfinite(features[..., FEATURE_NAMES.index("pair_retrieval_z")]).all()
    assert np.array_equal(features[0], features[1], equal_nan=True)


def test_a_block_says_what_was_missing_and_stale(tiny: TinyRun) -> None:
    generator, inputs = tiny.generator(), of_a_slice(tiny)
    states = user_states(inputs.users, generator.items)
    late = np.full(inputs.users.n_users, generator.items.as_of + 5 * 365 * 86_400)
    block = generator.features(
        RequestBatch(users=states, requested_at=late), inputs.user_vectors, inputs.candidates.item_idx
    )
    assert (block.states[..., FEATURE_NAMES.index("item_like_share")] == 2).all()
    assert np.isnan(block.values[..., FEATURE_NAMES.index("item_like_share")]).all()
