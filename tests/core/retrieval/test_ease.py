"""The closed form: it is EASE, cut to fewer factors, with the past fading."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from recsys_core.arrays import Float64s
from recsys_core.data.histories import OTHER_VALUE, Histories, histories_of
from recsys_core.data.splits import NOW
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.ease import fit_dual_ease, fit_primal_ease
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.ease import EaseFactors, fit_ease_factors
from recsys_core.retrieval.model import load_retrieval_model, save_retrieval_models
from tests import tiny_world
from tests.core.worlds import Rating, TinyRun, histories_from, random_histories

FEW_USERS, MANY_USERS = random_histories(0, n_users=15, n_items=40), random_histories(1, n_users=90, n_items=40)
STRANGERS = random_histories(2, n_users=20, n_items=40)
PLAIN = TwoTowerConfig(closed_form_recency=0)


def all_liked(users: Histories) -> Histories:
    return replace(users, ratings=np.full_like(users.ratings, 5))


def liked_times(*seconds: int) -> list[list[Rating]]:
    """One user who liked item 0, 1, ... at these seconds."""
    return [[(item, 5.0, second) for item, second in enumerate(seconds)]]


def values_of(users: Histories) -> Float64s:
    return users.matrix(np.where(users.ratings >= 4, 1, OTHER_VALUE).astype(np.float32)).toarray().astype(np.float64)


def raw_scores(form: EaseFactors, users: Histories) -> Float64s:
    """(n_users, n_items) before the scaling, without recency."""
    return values_of(users) @ form.history_factors @ form.target_factors.T


def unseen(users: Histories) -> npt.NDArray[np.bool_]:
    return users.seen().toarray() == 0


@pytest.mark.parametrize("l2", [0.5, 10.0, 500.0])
@pytest.mark.parametrize("train", [FEW_USERS, MANY_USERS], ids=["few users", "many users"])
@pytest.mark.parametrize("fit_ease", [fit_dual_ease, fit_primal_ease])
def test_with_all_factors_it_is_ease(fit_ease, train: Histories, l2: float) -> None:
    """For items that the user has not rated: of those, EASE subtracts what the item says of itself."""
    train, strangers = all_liked(train), all_liked(STRANGERS)
    form = fit_ease_factors(train, PLAIN.model_copy(update={"closed_form_l2": l2}))
    ease = fit_ease(train, BaselinesConfig(ease_input="likes", ease_l2=l2)).score(strangers)
    new = unseen(strangers)
    np.testing.assert_allclose(raw_scores(form, strangers)[new], ease[new], atol=1e-4)


@pytest.mark.parametrize("train", [FEW_USERS, MANY_USERS], ids=["few users", "many users"])
def test_other_ratings_count_a_part_of_a_like(train: Histories) -> None:
    """Against EASE by the formula of the charter, on a matrix of ones and parts."""
    x = values_of(train)
    inverse = np.linalg.inv(x.T @ x + 20 * np.eye(40))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    form = fit_ease_factors(train, PLAIN.model_copy(update={"closed_form_l2": 20.0}))
    new = unseen(STRANGERS)
    np.testing.assert_allclose(raw_scores(form, STRANGERS)[new], (values_of(STRANGERS) @ weights)[new], atol=1e-4)


def test_user_vectors_order_the_items_as_ease_does() -> None:
    form = fit_ease_factors(MANY_USERS, PLAIN)
    scores, expected = form.encode_users(STRANGERS) @ form.target_factors.T, raw_scores(form, STRANGERS)
    for user in np.flatnonzero(STRANGERS.lengths):
        ratio = scores[user] / expected[user]
        assert ratio == pytest.approx(np.full(40, ratio[0]), rel=1e-3)
        assert ratio[0] > 0


def test_few_factors_keep_most_of_it(tiny: TinyRun) -> None:
    """The four camps of the tiny world fit into a tenth of the factors."""
    users = histories_of(tiny.ratings, tiny.model.catalogue)
    few, full = (
        fit_ease_factors(users, PLAIN.model_copy(update={"closed_form_dim": dim, "closed_form_l2": 50.0}))
        for dim in (8, 1024)
    )
    assert (few.rank, full.rank) == (8, tiny_world.N_ITEMS)
    new = unseen(users)
    assert np.corrcoef(raw_scores(few, users)[new], raw_scores(full, users)[new])[0, 1] > 0.9


def test_the_factors_are_the_largest_of_a_plain_decomposition() -> None:
    train = random_histories(3, n_users=300, n_items=250)
    form = fit_ease_factors(train, PLAIN.model_copy(update={"closed_form_dim": 20}))
    _, singular, rows = np.linalg.svd(values_of(train), full_matrices=False)
    kept = singular[:20] ** 2 / (singular[:20] ** 2 + PLAIN.closed_form_l2)
    expected = (rows[:20].T * kept) @ rows[:20]  # free of the factors' signs
    np.testing.assert_allclose((form.history_factors * kept) @ form.history_factors.T, expected, atol=2e-3)
    np.testing.assert_allclose(form.history_factors.T @ form.history_factors, np.eye(20), atol=1e-5)


@pytest.mark.parametrize(
    ("seconds", "places"), [([10, 20, 30], [2, 1, 0]), ([10, 20, 20], [1, 0, 0]), ([7, 7, 7], [0, 0, 0])]
)
def test_the_past_fades_by_hand(seconds: Sequence[int], places: Sequence[int]) -> None:
    """Ratings of one second are one place; an item's vector is its own axis here, so that weights can be read off."""
    axes = np.eye(4, dtype=np.float32)
    form = EaseFactors(history_factors=axes, gains=np.full(len(axes), 0.5, dtype=np.float32), recency_power=0.4)
    vector = form.encode_users(histories_from(liked_times(*seconds), n_items=4))[0]
    expected = np.array([(1 + place) ** -0.4 for place in places])
    assert vector[:3] / vector[:3].max() == pytest.approx(expected / expected.max(), rel=1e-6)
    assert vector[3] == 0


def test_a_dislike_counts_a_part_of_a_like_when_answering() -> None:
    axes = np.eye(3, dtype=np.float32)
    form = EaseFactors(history_factors=axes, gains=np.full(len(axes), 0.5, dtype=np.float32), recency_power=0.4)
    vector = form.encode_users(histories_from([[(0, 5.0, 1), (1, 1.0, 1), (2, 3.5, 1)]], n_items=3))[0]
    assert vector[1:] / vector[0] == pytest.approx([OTHER_VALUE, OTHER_VALUE], rel=1e-6)


def test_each_users_scores_deviate_by_one(tiny: TinyRun) -> None:
    """Whether the history has one rating or fifty; somebody without any gets nothing."""
    form = tiny.model.ease
    users = histories_of(tiny.ratings, tiny.model.catalogue)
    short = histories_from([[(4, 5.0, 1)], [(4, 0.5, 1)], []], n_items=users.n_items)
    for some in (users, short):
        found = (form.encode_users(some) @ form.target_factors.T).std(axis=1)
        assert found == pytest.approx((some.lengths > 0).astype(float), rel=1e-4)


def test_an_empty_history_gives_zeros_in_any_company() -> None:
    form = fit_ease_factors(MANY_USERS, TwoTowerConfig())
    together = form.encode_users(histories_from([[], [(3, 5.0, 1)], []], n_items=40))
    assert np.flatnonzero(together.any(axis=1)).tolist() == [1]
    assert form.encode_users(histories_from([], n_items=40)).shape == (0, form.rank)
    assert together.dtype == form.history_factors.dtype == form.target_factors.dtype == np.float32


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 40])
def test_a_user_is_encoded_to_the_same_bits_in_any_company(dim: int) -> None:
    form = fit_ease_factors(MANY_USERS, TwoTowerConfig(closed_form_dim=dim))
    together = form.encode_users(STRANGERS)
    for user in range(STRANGERS.n_users):
        assert np.array_equal(form.encode_users(STRANGERS.select(np.array([user])))[0], together[user])


TINY = {
    "nobody": histories_from([], 5),
    "nobody who rated": histories_from([[], [], []], 5),
    "no item": histories_from([[], []], 0),
    "one user": histories_from([[(0, 5.0, 1), (2, 1.0, 2)]], 5),
    "one item": histories_from([[(0, 5.0, 1)], [(0, 1.0, 2)]], 1),
    "one of both": histories_from([[(0, 5.0, 1)]], 1),
    "one rating": histories_from([[(3, 5.0, 1)], [], []], 5),
    "everybody alike": histories_from([[(item, 5.0, item) for item in range(6)]] * 20, 30),
    "each their own": histories_from([[(user, 5.0, 1)] for user in range(200)], 200),
}


@pytest.mark.parametrize("world", TINY)
def test_tiny_and_degenerate_matrices_work_and_give_the_same_bytes_twice(world: str) -> None:
    users = TINY[world]
    first, second = (fit_ease_factors(users, TwoTowerConfig()) for _ in range(2))
    assert first.rank == min(128, users.n_users, users.n_items)
    assert first.history_factors.shape == first.target_factors.shape == (users.n_items, first.rank)
    assert (first.history_factors.tobytes(), first.target_factors.tobytes()) == (
        second.history_factors.tobytes(),
        second.target_factors.tobytes(),
    )
    vectors = first.encode_users(users)
    assert vectors.shape == (users.n_users, first.rank)
    assert all(np.isfinite(values).all() for values in (first.history_factors, first.target_factors, vectors))


@pytest.mark.parametrize("dim", [1, 39, 40, 41])
def test_there_are_as_many_factors_as_asked_for_or_as_there_can_be(dim: int) -> None:
    assert fit_ease_factors(MANY_USERS, TwoTowerConfig(closed_form_dim=dim)).rank == min(dim, 40)


def test_two_fits_give_the_same_bytes_whatever_the_order_of_the_rows(tiny: TinyRun) -> None:
    ratings, catalogue = tiny_world.ratings(), tiny.model.catalogue
    shuffled = ratings.sample(fraction=1, shuffle=True, seed=1)
    forms = [fit_ease_factors(histories_of(rows, catalogue), TwoTowerConfig()) for rows in (ratings, ratings, shuffled)]
    for name in ("history_factors", "target_factors"):
        assert len({getattr(form, name).tobytes() for form in forms}) == 1


def test_the_future_is_not_read(tiny: TinyRun) -> None:
    model = tiny.models[tiny.asked]
    past = tiny.ratings.filter(pl.col("timestamp") < model.fit_end)
    assert past.height < tiny.ratings.height
    again = fit_ease_factors(histories_of(past, model.catalogue), TwoTowerConfig(dim=4))
    assert np.array_equal(again.target_factors, model.ease.target_factors)


def test_an_item_as_an_answer_is_the_item_as_shown_times_the_gains_over_what_it_says_of_itself() -> None:
    """By the formula, one item and one factor at a time: what need not be stored."""
    form = fit_ease_factors(MANY_USERS, TwoTowerConfig(closed_form_dim=12))
    for item in range(40):
        history_factors = form.history_factors[item].astype(float)
        own = sum(gain * value**2 for gain, value in zip(form.gains, history_factors, strict=True))
        np.testing.assert_allclose(
            form.target_factors[item], history_factors * form.gains / (1 - own), rtol=1e-4, atol=1e-6
        )
    assert (form.gains.dtype, form.gains.shape) == (np.float32, (12,))
    assert ((form.gains >= 0) & (form.gains < 1)).all()
    assert (np.diff(form.gains) <= 0).all(), "the strongest factors come first"


def test_it_comes_back_from_the_disk_to_the_bit(tiny: TinyRun, tmp_path: Path) -> None:
    faded = replace(tiny.model.ease, recency_power=0.25)
    made = replace(tiny.model, linear=replace(tiny.model.linear, ease=faded), ease_weight=0.75)
    save_retrieval_models({NOW: made}, tmp_path)
    back = load_retrieval_model(tmp_path, NOW)
    assert np.array_equal(back.ease.history_factors, made.ease.history_factors)
    assert np.array_equal(back.ease.gains, made.ease.gains)
    assert np.array_equal(back.ease.target_factors, made.ease.target_factors)
    assert (back.ease.recency_power, back.ease_weight) == (0.25, 0.75)
