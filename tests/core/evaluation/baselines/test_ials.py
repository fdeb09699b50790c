"""iALS: each half sweep is the minimum that it claims to be, and strangers are solved like those it was fitted on."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_core.arrays import Float64s
from recsys_core.data.config import SplitsConfig
from recsys_core.data.histories import Histories, catalogue_of, histories_of
from recsys_core.data.splits import TEST, fit_ratings, known_ratings, make_splits, relevant_items
from recsys_core.evaluation.baselines import ials
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.ials import FixedSide, diagonalised, fit_ials, solve
from recsys_core.evaluation.baselines.popularity import fit_popularity
from recsys_core.evaluation.baselines.scorer import PRIOR_WEIGHT, input_matrix, popularity_prior, recommend
from recsys_core.metrics.ranked_lists import hits_of
from recsys_core.metrics.ranking import ndcg_at_k
from tests import tiny_world

WEIGHT, L2 = 0.2, 0.05
CONFIG = BaselinesConfig(ials_dim=6, ials_unobserved_weight=WEIGHT, ials_l2=L2, ials_n_sweeps=5)


def objective(observed: Float64s, users: Float64s, items: Float64s) -> float:
    """All of it, pair by pair, as the paper writes it with nu = 1."""
    predicted = users @ items.T
    n_users, n_items = observed.shape
    of_users = (observed.sum(axis=1) + WEIGHT * n_items) @ (users**2).sum(axis=1)
    of_items = (observed.sum(axis=0) + WEIGHT * n_users) @ (items**2).sum(axis=1)
    fit = (observed * (predicted - 1) ** 2).sum() + WEIGHT * (predicted**2).sum()
    return float(fit + L2 * (of_users + of_items))


def least_squares(row: Float64s, fixed: Float64s) -> Float64s:
    """The minimiser for one row: every pair and the penalty are rows of one ordinary least-squares problem."""
    n_fixed, dim = fixed.shape
    penalty = np.sqrt(L2 * (row.sum() + WEIGHT * n_fixed)) * np.eye(dim)
    design = np.vstack([np.sqrt(row)[:, None] * fixed, np.sqrt(WEIGHT) * fixed, penalty])
    wanted = np.concatenate([np.sqrt(row), np.zeros(n_fixed + dim)])
    return np.linalg.lstsq(design, wanted, rcond=None)[0]


def random_side(n: int, dim: int) -> FixedSide:
    return diagonalised(np.random.default_rng(0).standard_normal((n, dim)))


@pytest.mark.parametrize("kind", ["likes", "all", "rating"])
def test_the_objective_falls_at_every_half_sweep(many_users: Histories, kind: str) -> None:
    by_user = input_matrix(many_users, kind)
    observed, by_item = by_user.toarray().astype(np.float64), by_user.T.tocsr()
    items = random_side(many_users.n_items, CONFIG.ials_dim)
    values = [objective(observed, np.zeros((many_users.n_users, CONFIG.ials_dim)), items.vectors)]
    for _ in range(8):
        solved = solve(by_user, items, unobserved_weight=WEIGHT, l2=L2)
        values.append(objective(observed, solved, items.vectors))
        users = diagonalised(solved)
        solved = solve(by_item, users, unobserved_weight=WEIGHT, l2=L2)
        values.append(objective(observed, users.vectors, solved))
        items = diagonalised(solved)
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("kind", ["likes", "all", "rating"])
@pytest.mark.parametrize("side", ["users", "items"])
@pytest.mark.parametrize("dim", [2, 8, 30])
def test_each_vector_of_a_half_sweep_is_the_weighted_least_squares_solution(
    many_users: Histories, kind: str, side: str, dim: int
) -> None:
    """Rows hold 0 to 19 entries: fewer than dimensions, as many, and more."""
    by_user = input_matrix(many_users, kind)
    rows = by_user if side == "users" else by_user.T.tocsr()
    fixed = random_side(rows.shape[1], dim)
    expected = [least_squares(row, fixed.vectors) for row in rows.toarray().astype(np.float64)]
    np.testing.assert_allclose(solve(rows, fixed, unobserved_weight=WEIGHT, l2=L2), expected, atol=1e-10)


def test_turning_a_side_to_its_axes_changes_no_score() -> None:
    vectors = np.random.default_rng(0).standard_normal((30, 6))
    turned = diagonalised(vectors)
    np.testing.assert_allclose(turned.vectors @ turned.vectors.T, vectors @ vectors.T, atol=1e-12)
    np.testing.assert_allclose(turned.vectors.T @ turned.vectors, np.diag(turned.spectrum), atol=1e-12)


def test_a_user_of_the_fit_gets_the_vector_of_the_half_sweep_that_comes_next(many_users: Histories) -> None:
    """The fit does not remember its users: it solves them like strangers, with the final item vectors."""
    scorer = fit_ials(many_users, CONFIG)
    observed = input_matrix(many_users, "likes").toarray().astype(np.float64)
    expected = [least_squares(row, scorer.items.vectors.astype(np.float64)) for row in observed]
    np.testing.assert_allclose(scorer.encode_users(many_users), expected, atol=1e-6)  # vectors of a fit are float32


def test_each_sweep_of_a_fit_lowers_the_objective(many_users: Histories) -> None:
    observed = input_matrix(many_users, "likes").toarray().astype(np.float64)
    values = []
    for n_sweeps in (1, 2, 4, 8, 16):
        scorer = fit_ials(many_users, CONFIG.model_copy(update={"ials_n_sweeps": n_sweeps}))
        values.append(objective(observed, scorer.encode_users(many_users), scorer.items.vectors))
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("world", ["few_users", "many_users"])
def test_an_empty_history_and_one_of_dislikes_get_the_popular_items(request, histories_from, world: str) -> None:
    train = request.getfixturevalue(world)
    scores = fit_ials(train, CONFIG).score(histories_from([[], [(3, 1.0, 0)]], 40))
    np.testing.assert_array_equal(scores, np.tile(PRIOR_WEIGHT * popularity_prior(train), (2, 1)))


def test_two_fits_on_the_same_data_give_the_same_bytes_and_another_seed_others(many_users, strangers) -> None:
    first, second, other = (
        fit_ials(many_users, CONFIG.model_copy(update={"seed": seed})).score(strangers) for seed in (17, 17, 18)
    )
    assert first.dtype == np.float32
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != other.tobytes()


def test_who_else_is_asked_for_changes_no_bit_of_a_users_vector(many_users, strangers) -> None:
    scorer = fit_ials(many_users, CONFIG)
    together = scorer.encode_users(strangers)
    for user in range(strangers.n_users):
        assert scorer.encode_users(strangers.select(np.array([user]))).tobytes() == together[user].tobytes()
    assert len(np.unique(together, axis=0)) > 10


def test_the_lists_do_not_depend_on_the_batch(many_users, strangers) -> None:
    scorer = fit_ials(many_users, CONFIG)
    at_once = recommend(scorer, strangers, 10)
    for batch in (1, 7):
        np.testing.assert_array_equal(recommend(scorer, strangers, 10, batch=batch), at_once)


def test_the_size_of_the_blocks_does_not_matter(many_users, strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = fit_ials(many_users, CONFIG).score(strangers)
    monkeypatch.setattr(ials, "BLOCK", 1)
    np.testing.assert_array_equal(fit_ials(many_users, CONFIG).score(strangers), at_once)


def test_on_the_tiny_world_it_beats_popularity() -> None:
    ratings = tiny_world.ratings()
    splits, name = make_splits(ratings, SplitsConfig(n_refits=1)), f"{TEST}_1"
    known, users = fit_ratings(ratings, splits, name), splits.users_of(name)
    catalogue = catalogue_of(known)
    train = histories_of(known, catalogue)
    contexts = histories_of(known_ratings(ratings, splits, name), catalogue, users)
    relevant = relevant_items(splits.targets.filter(slice=name), users)
    targets = replace(relevant, items=catalogue.idx_of(relevant.items))
    ndcg = {}
    for fit in (fit_ials, fit_popularity):
        hits = hits_of(recommend(fit(train, BaselinesConfig()), contexts, 10), targets)
        ndcg[fit] = float(np.nanmean(ndcg_at_k(hits, targets.counts)))
    assert ndcg[fit_ials] > ndcg[fit_popularity] + 0.15


def test_where_nothing_was_liked_the_fit_has_nothing_to_say(histories_from) -> None:
    for train in (histories_from([[(0, 1.0, 0)], []], 3), histories_from([], 3)):
        scores = fit_ials(train, CONFIG).score(histories_from([[(0, 5.0, 0)], []], 3))
        np.testing.assert_array_equal(scores, np.zeros((2, 3)))
