"""Small worlds of ratings whose structure is known."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from recsys_core.data.histories import Histories
from recsys_core.evaluation.baselines.tuning import TuningTask
from recsys_core.metrics.ranked_lists import sets_of
from tests.core import worlds

Build = Callable[[Sequence[Sequence[tuple[int, float, int]]], int], Histories]
"""Users as sequences of (item, stars, timestamp), and the number of items."""


def any_ratings(seed: int, n_users: int, n_items: int) -> Histories:
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(n_items)[: rng.integers(0, n_items // 2)] for _ in range(n_users)]
    return worlds.histories_from(
        [[(int(item), float(rng.integers(1, 6)), 0) for item in items] for items in chosen], n_items
    )


def two_camps(seed: int, n_users: int) -> tuple[Histories, list[list[int]]]:
    """Even users like six of the items 0-11, odd ones six of 12-23: four of these, and the two that are held back."""
    rng = np.random.default_rng(seed)
    liked = [(rng.permutation(12)[:6] + 12 * (user % 2)).tolist() for user in range(n_users)]
    return worlds.histories_from([[(item, 5.0, at) for at, item in enumerate(items[:4])] for items in liked], 24), [
        items[4:] for items in liked
    ]


@pytest.fixture
def histories_from() -> Build:
    return worlds.histories_from


@pytest.fixture
def few_users() -> Histories:
    """Fewer users than items; some have rated nothing."""
    return any_ratings(seed=0, n_users=15, n_items=40)


@pytest.fixture
def many_users() -> Histories:
    return any_ratings(seed=1, n_users=60, n_items=40)


@pytest.fixture
def strangers() -> Histories:
    """Users whom no fit has seen; the first three rated nothing."""
    return any_ratings(seed=2, n_users=20, n_items=40)


@pytest.fixture
def camps_task() -> TuningTask:
    contexts, held_back = two_camps(seed=1, n_users=40)
    train, _ = two_camps(seed=0, n_users=60)
    return TuningTask(train=train, fit_end=10, contexts=contexts, targets=sets_of(held_back))
