"""The user tower on arrays: the same numbers as the tower that was trained, for one user as for a thousand."""

import numpy as np
import pytest
import torch

from recsys_core.data.histories import Histories, histories_of
from recsys_core.data.splits import TEST, known_ratings
from recsys_core.features.content import GENRES
from recsys_core.retrieval.towers import TwoTower, history_batch
from recsys_core.retrieval.user_encoder import user_encoder
from tests.core.worlds import TinyRun, histories_from, random_histories

N_ITEMS = 40


def tower(seed: int, dim: int = 13) -> TwoTower:
    """Untrained, with every learned number away from where it starts."""
    rng = np.random.default_rng(seed)
    content = (rng.random((N_ITEMS, len(GENRES))) < 0.2).astype(np.float32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = TwoTower(content, rng.normal(size=N_ITEMS).astype(np.float32), dim)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model.requires_grad_(requires_grad=False)


def by_torch(model: TwoTower, users: Histories) -> np.ndarray:
    with torch.inference_mode():
        return model.users(history_batch(users)).numpy()


@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_the_tower_that_was_trained(seed: int) -> None:
    model, users = tower(seed), random_histories(seed, n_users=60, n_items=N_ITEMS)
    assert users.lengths.max() > N_ITEMS / 2
    found = user_encoder(model).encode(users)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_torch(model, users), rtol=1e-4, atol=1e-5)


def test_it_agrees_with_a_tower_that_learned_something(tiny: TinyRun) -> None:
    known = known_ratings(tiny.ratings, tiny.splits, TEST)
    users = histories_of(known, tiny.tower.catalogue)
    np.testing.assert_allclose(
        tiny.tower.user_encoder.encode(users), by_torch(tiny.tower.model, users), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("dim", [1, 13, 64])
def test_one_user_alone_and_many_together_get_the_same_bits(dim: int) -> None:
    encoder, users = user_encoder(tower(1, dim)), random_histories(5, n_users=80, n_items=N_ITEMS)
    together = encoder.encode(users)
    for row in range(users.n_users):
        assert np.array_equal(encoder.encode(users.select(np.array([row])))[0], together[row])
    backwards = np.arange(users.n_users)[::-1]
    assert np.array_equal(encoder.encode(users.select(backwards)), together[backwards])


def test_an_empty_history_gives_what_all_users_share() -> None:
    model = tower(2)
    expected = [*model.everyone.tolist(), 1.0]
    assert user_encoder(model).encode(histories_from([[], []], N_ITEMS)).tolist() == [expected, expected]


def test_of_nobody_there_is_a_shape_all_the_same() -> None:
    assert user_encoder(tower(2, dim=13)).encode(histories_from([], N_ITEMS)).shape == (0, 14)


def test_a_rating_counts_by_its_stars_and_its_place() -> None:
    encoder = user_encoder(tower(3))
    first = encoder.encode(histories_from([[(0, 5.0, 1), (1, 2.0, 2)]], N_ITEMS))
    for other in ([(0, 4.5, 1), (1, 2.0, 2)], [(1, 2.0, 1), (0, 5.0, 2)], [(0, 5.0, 1), (1, 2.0, 10**8)]):
        assert not np.array_equal(encoder.encode(histories_from([other], N_ITEMS)), first)
