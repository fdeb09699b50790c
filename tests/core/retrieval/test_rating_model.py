"""Predicted stars."""

import numpy as np
import pytest

from recsys_core.arrays import Float64s
from recsys_core.data.histories import Histories
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.rating_model import ITEM_SHRINK, USER_SHRINK, RatingModel, fit_rating_model
from tests.core.worlds import histories_from, random_histories

CONFIG = TwoTowerConfig(rating_dim=8, rating_l2=5.0)
USERS = random_histories(1, n_users=90, n_items=40)
STRANGERS = random_histories(2, n_users=20, n_items=40)


def predicted(model: RatingModel, users: Histories) -> Float64s:
    """(n_users, n_items) stars above the mean of all and of the user, as the ranker reads them."""
    return (model.encode_users(users) @ model.factors.T + model.biases).astype(np.float64)


def rows_of(users: Histories) -> list[list[tuple[int, float]]]:
    pairs = list(zip(users.item_idx.tolist(), users.ratings.tolist(), strict=True))
    return [pairs[users.offsets[row] : users.offsets[row + 1]] for row in range(users.n_users)]


def slow_biases(users: Histories) -> tuple[float, list[float]]:
    """The mean of all ratings, and how far each item lies from it, shrunk."""
    rated = [pair for own in rows_of(users) for pair in own]
    mean = sum(stars for _, stars in rated) / len(rated)
    above = [[stars - mean for other, stars in rated if other == item] for item in range(users.n_items)]
    return mean, [sum(one) / (len(one) + ITEM_SHRINK) for one in above]


def slow_residuals(own: list[tuple[int, float]], mean: float, biases: list[float]) -> dict[int, float]:
    """What each rating of a user says beyond the means."""
    over_item = {item: stars - mean - biases[item] for item, stars in own}
    bias = sum(over_item.values()) / (len(own) + USER_SHRINK)
    return {item: value - bias for item, value in over_item.items()}


def test_it_agrees_with_the_slow_loop() -> None:
    """Biases one rating at a time; the ridge regression by a plain decomposition of the residuals."""
    model = fit_rating_model(USERS, CONFIG)
    mean, biases = slow_biases(USERS)
    assert model.mean == pytest.approx(mean, rel=1e-6)
    np.testing.assert_allclose(model.biases, biases, atol=1e-6)
    residuals = np.zeros((USERS.n_users, USERS.n_items))
    for row, own in enumerate(rows_of(USERS)):
        for item, value in slow_residuals(own, mean, biases).items():
            residuals[row, item] = value
    _, singular, factors = np.linalg.svd(residuals, full_matrices=False)
    kept = singular[:8] ** 2 / (singular[:8] ** 2 + CONFIG.rating_l2)
    found = predicted(model, STRANGERS)
    for row, own in enumerate(rows_of(STRANGERS)):
        vector = sum(
            (value * factors[:8, item] for item, value in slow_residuals(own, mean, biases).items()), np.zeros(8)
        )
        np.testing.assert_allclose(found[row], biases + (vector * kept) @ factors[:8], atol=2e-3)


def test_with_all_factors_it_is_the_ridge_regression_on_the_residuals() -> None:
    model = fit_rating_model(USERS, CONFIG.model_copy(update={"rating_dim": 40}))
    mean, biases = slow_biases(USERS)
    residuals = np.zeros((USERS.n_users, 40))
    for row, own in enumerate(rows_of(USERS)):
        for item, value in slow_residuals(own, mean, biases).items():
            residuals[row, item] = value
    gram = residuals.T @ residuals
    expected = residuals @ np.linalg.solve(gram + CONFIG.rating_l2 * np.eye(40), gram) + biases
    np.testing.assert_allclose(predicted(model, USERS), expected, atol=1e-3)


def test_a_taste_is_told_from_generosity() -> None:
    """Half of the users love the even items, half the odd ones; each half is generous or stingy."""
    rng = np.random.default_rng(0)
    users = []
    for user in range(80):
        items = rng.permutation(12)[:8]
        users.append([(int(item), 4.0 if item % 2 == user % 2 else 2.0, 1) for item in items])
        users[-1] = [(item, stars - 1.5 * (user % 4 >= 2), at) for item, stars, at in users[-1]]
    model = fit_rating_model(histories_from(users, 12), CONFIG.model_copy(update={"rating_dim": 1}))
    asking = histories_from([[(0, 2.5, 1), (1, 0.5, 1)], [(0, 2.0, 1), (1, 4.0, 1)]], 12)
    found = predicted(model, asking)
    assert (found[0, 2::2] > found[0, 3::2].max()).all(), "a stingy lover of even items"
    assert (found[1, 3::2] > found[1, 2::2].max()).all()


def test_an_empty_history_gives_what_all_think_of_the_items() -> None:
    model = fit_rating_model(USERS, CONFIG)
    nobody = model.encode_users(histories_from([[], [(3, 1.0, 1)], []], 40))
    assert np.flatnonzero(nobody.any(axis=1)).tolist() == [1]
    assert model.encode_users(histories_from([], 40)).shape == (0, 8)
    assert nobody.dtype == model.factors.dtype == model.biases.dtype == np.float32


def test_two_fits_give_the_same_bytes() -> None:
    one, other = (fit_rating_model(USERS, CONFIG) for _ in range(2))
    for name in ("biases", "factors", "gains"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert one.mean == other.mean


def test_a_user_is_encoded_to_the_same_bits_in_any_company() -> None:
    model = fit_rating_model(USERS, CONFIG)
    together = model.encode_users(STRANGERS)
    for user in range(STRANGERS.n_users):
        assert np.array_equal(model.encode_users(STRANGERS.select(np.array([user])))[0], together[user])


@pytest.mark.parametrize(
    "users",
    [
        histories_from([], 5),
        histories_from([[], []], 5),
        histories_from([[], []], 0),
        histories_from([[(3, 5.0, 1)], []], 5),
        histories_from([[(item, 4.0, item) for item in range(5)]] * 9, 5),
    ],
    ids=["nobody", "nobody who rated", "no item", "one rating", "all alike"],
)
def test_little_data_is_no_fault(users: Histories) -> None:
    model = fit_rating_model(users, CONFIG)
    values = predicted(model, users)
    assert values.shape == (users.n_users, users.n_items)
    assert np.isfinite(values).all()
    if not len(users.ratings):
        assert not values.any()
        assert model.mean == 0
