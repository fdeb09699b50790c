"""The two towers against a slow second implementation, and at their edges."""

import math

import numpy as np
import pytest
import torch

from recsys_core.data.histories import AGE_LIMITS, Histories, histories_of
from recsys_core.data.splits import TEST, known_ratings
from recsys_core.features.item_inputs import GENRES
from recsys_core.retrieval.towers import (
    TwoTower,
    encode_items,
    history_batch,
    standardised_log_popularity,
    user_encoder,
)
from recsys_core.retrieval.training import train_retrieval_model
from tests.core.worlds import QUICK_TRAINING, TinyRun, histories_from, random_histories

N_ITEMS, N_CONTENT, DIM = 12, 5, 4


@pytest.fixture(scope="module")
def towers() -> TwoTower:
    """A tower in which no parameter is at its start, where mistakes could cancel."""
    rng = np.random.default_rng(0)
    made = TwoTower(
        rng.random((N_ITEMS, N_CONTENT), dtype=np.float32), rng.normal(size=N_ITEMS).astype(np.float32), DIM
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=tuple(parameter.shape)).astype(np.float32)))
    return made.eval()


def slow_user_vector(towers: TwoTower, history: list[tuple[int, float, int]]) -> list[float]:
    """The formula of the charter, one number at a time, in double precision."""
    p = {name: tensor.double().numpy() for name, tensor in towers.state_dict().items()}
    seconds = sorted({time for _, _, time in history}, reverse=True)
    total, amount = [0.0] * DIM, 0.0
    for item, stars, time in history:
        place = min(int(math.log2(seconds.index(time) + 1)), 11)
        age = sum(seconds[0] - time > limit for limit in AGE_LIMITS)
        fresh = math.exp(p["place_bias"][place] + p["age_bias"][age])
        amount += fresh
        for d in range(DIM):
            content = sum(p["content_rated.weight"][d, c] * p["content"][item, c] for c in range(N_CONTENT))
            total[d] += p["rating_weight"][int(stars * 2) - 1] * fresh * (p["rated.weight"][item, d] + content)
    return [total[d] / math.sqrt(amount + 1) + p["everyone"][d] for d in range(DIM)] + [1.0]


def slow_item_vector(towers: TwoTower, item: int) -> list[float]:
    p = {name: tensor.double().numpy() for name, tensor in towers.state_dict().items()}
    body = [
        p["offered.weight"][item, d]
        + sum(p["content_offered.weight"][d, c] * p["content"][item, c] for c in range(N_CONTENT))
        for d in range(DIM)
    ]
    return [*body, p["item_bias"][item] + p["popularity_weight"][0] * p["log_popularity"][item]]


def one_by_one(users: Histories) -> list[list[tuple[int, float, int]]]:
    return [
        [
            (int(users.item_idx[at]), float(users.ratings[at]), int(users.timestamps[at]))
            for at in range(users.offsets[user], users.offsets[user + 1])
        ]
        for user in range(users.n_users)
    ]


def test_user_vectors_agree_with_a_loop_over_single_numbers(towers: TwoTower) -> None:
    users = random_histories(0, n_users=60, n_items=N_ITEMS)
    slow = np.array([slow_user_vector(towers, history) for history in one_by_one(users)])
    np.testing.assert_allclose(user_encoder(towers).encode(users), slow, rtol=1e-4, atol=1e-4)


def test_item_vectors_agree_with_a_loop_over_single_numbers(towers: TwoTower) -> None:
    slow = np.array([slow_item_vector(towers, item) for item in range(N_ITEMS)])
    np.testing.assert_allclose(encode_items(towers), slow, rtol=1e-5, atol=1e-5)


def test_an_empty_history_gives_the_vector_that_all_users_share(towers: TwoTower) -> None:
    shared = [*towers.everyone.tolist(), 1.0]
    together = user_encoder(towers).encode(histories_from([[], [(3, 5.0, 1)], []], n_items=N_ITEMS))
    assert together[0].tolist() == together[2].tolist() == shared != together[1].tolist()
    assert user_encoder(towers).encode(histories_from([[]], n_items=N_ITEMS)).tolist() == [shared]
    assert user_encoder(towers).encode(histories_from([], n_items=N_ITEMS)).shape == (0, DIM + 1)


def test_a_user_is_encoded_the_same_in_any_company(towers: TwoTower) -> None:
    users = random_histories(1, n_users=50, n_items=N_ITEMS)
    together = user_encoder(towers).encode(users)
    for user in (0, 13, 49):
        np.testing.assert_array_equal(user_encoder(towers).encode(users.select(np.array([user])))[0], together[user])


def test_the_order_within_a_second_means_nothing(towers: TwoTower) -> None:
    one = histories_from([[(0, 5.0, 1), (1, 2.0, 9), (2, 4.0, 9)]], n_items=N_ITEMS)
    other = histories_from([[(0, 5.0, 1), (2, 4.0, 9), (1, 2.0, 9)]], n_items=N_ITEMS)
    np.testing.assert_allclose(user_encoder(towers).encode(one), user_encoder(towers).encode(other), rtol=1e-5)


def test_what_dropout_hides_leaves_the_vector_of_the_rest(towers: TwoTower) -> None:
    """Only where the clocks of the rest stay as they were: the hidden rating is the oldest."""
    batch = history_batch(histories_from([[(0, 5.0, 1), (1, 2.0, 8), (2, 4.0, 9)]], n_items=N_ITEMS))
    rest = histories_from([[(1, 2.0, 8), (2, 4.0, 9)]], n_items=N_ITEMS)
    hidden = towers.users(batch, kept=torch.tensor([0.0, 1.0, 1.0])).detach().numpy()
    np.testing.assert_allclose(hidden, user_encoder(towers).encode(rest), rtol=1e-5)


def test_vectors_of_needed_items_alone_are_the_same_and_touch_no_other(towers: TwoTower) -> None:
    users = history_batch(histories_from([[(2, 5.0, 1), (5, 1.0, 2)], [], [(2, 3.0, 1)]], n_items=N_ITEMS))
    needed = towers.users(users, only_needed=True)
    np.testing.assert_allclose(needed.detach().numpy(), towers.users(users).detach().numpy(), rtol=1e-5, atol=1e-6)
    chosen = towers.items(torch.tensor([7, 3]))
    np.testing.assert_allclose(chosen.detach().numpy(), encode_items(towers)[[7, 3]], rtol=1e-5, atol=1e-6)
    (needed.sum() + chosen.sum()).backward()
    touched = [table.weight.grad.coalesce().indices()[0].tolist() for table in (towers.rated, towers.offered)]
    assert touched == [[2, 5], [3, 7]]
    towers.zero_grad()


def test_each_half_star_has_a_level_of_its_own() -> None:
    stars = np.arange(1, 11) / 2
    users = histories_from([[(item, float(one), item) for item, one in enumerate(stars)]], n_items=10)
    assert history_batch(users).level.tolist() == list(range(10))


def test_the_popularity_input_is_standardised_and_survives_a_world_without_likes() -> None:
    values = standardised_log_popularity(np.array([0, 1, 5, 200]))
    assert values.mean() == pytest.approx(0, abs=1e-6)
    assert values.std() == pytest.approx(1, abs=1e-6)
    assert np.all(np.diff(values) > 0)
    assert standardised_log_popularity(np.array([0, 0, 0])).tolist() == [0, 0, 0]


N_ITEMS = 40


def random_tower(seed: int, dim: int = 13) -> TwoTower:
    """Untrained, with every learned number away from where it starts."""
    rng = np.random.default_rng(seed)
    content = (rng.random((N_ITEMS, len(GENRES))) < 0.2).astype(np.float32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        towers = TwoTower(content, rng.normal(size=N_ITEMS).astype(np.float32), dim)
        for parameter in towers.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return towers.requires_grad_(requires_grad=False)


def by_torch(towers: TwoTower, users: Histories) -> np.ndarray:
    with torch.inference_mode():
        return towers.users(history_batch(users)).numpy()


@pytest.mark.parametrize("seed", range(3))
def test_the_encoder_agrees_with_torch(seed: int) -> None:
    towers, users = random_tower(seed), random_histories(seed, n_users=60, n_items=N_ITEMS)
    assert users.lengths.max() > N_ITEMS / 2
    found = user_encoder(towers).encode(users)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_torch(towers, users), rtol=1e-4, atol=1e-5)


def test_the_encoder_agrees_with_a_tower_that_learned_something(tiny: TinyRun) -> None:
    trained = train_retrieval_model(tiny.ratings, tiny.item_rows, tiny.model.fit_end, QUICK_TRAINING)
    users = histories_of(known_ratings(tiny.ratings, tiny.splits, TEST), trained.model.catalogue)
    np.testing.assert_allclose(
        trained.model.user_encoder.encode(users), by_torch(trained.towers, users), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("dim", [1, 13, 64])
def test_one_user_alone_and_many_together_get_the_same_bits(dim: int) -> None:
    encoder, users = user_encoder(random_tower(1, dim)), random_histories(5, n_users=80, n_items=N_ITEMS)
    together = encoder.encode(users)
    for row in range(users.n_users):
        assert np.array_equal(encoder.encode(users.select(np.array([row])))[0], together[row])
    backwards = np.arange(users.n_users)[::-1]
    assert np.array_equal(encoder.encode(users.select(backwards)), together[backwards])


def test_the_encoder_gives_an_empty_history_what_all_users_share() -> None:
    towers = random_tower(2)
    expected = [*towers.everyone.tolist(), 1.0]
    assert user_encoder(towers).encode(histories_from([[], []], N_ITEMS)).tolist() == [expected, expected]


def test_of_nobody_there_is_a_shape_all_the_same() -> None:
    assert user_encoder(random_tower(2, dim=13)).encode(histories_from([], N_ITEMS)).shape == (0, 14)


def test_a_rating_counts_by_its_stars_and_its_place() -> None:
    encoder = user_encoder(random_tower(3))
    first = encoder.encode(histories_from([[(0, 5.0, 1), (1, 2.0, 2)]], N_ITEMS))
    for other in ([(0, 4.5, 1), (1, 2.0, 2)], [(1, 2.0, 1), (0, 5.0, 2)], [(0, 5.0, 1), (1, 2.0, 10**8)]):
        assert not np.array_equal(encoder.encode(histories_from([other], N_ITEMS)), first)
