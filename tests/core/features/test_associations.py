"""What the items of a history say of a candidate, by the closed form's weights."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from recsys_core.data.histories import Histories
from recsys_core.features.associations import N_STRONGEST
from recsys_core.features.pairs import Pairs
from recsys_core.features.registry import features_of as declared_of
from recsys_core.features.sides import ItemSide
from recsys_core.features.state import user_states
from tests.core.features.asked import asking_nothing, equal, pairs_of, random_side, side_of
from tests.core.worlds import Rating, random_histories

Float32s = npt.NDArray[np.float32]
NAN = float("nan")
N_ITEMS = 150
RNG = np.random.default_rng(0)
SIDE = random_side(N_ITEMS, RNG)
USERS = random_histories(4, n_users=40, n_items=N_ITEMS)
CANDIDATES = np.stack([RNG.permutation(N_ITEMS)[:30] for _ in range(USERS.n_users)])
FEATURES = [one for one in declared_of("user-item") if one.group == "associations"]


def values_of(users: Histories, candidates: npt.NDArray[np.int64], side: ItemSide = SIDE) -> dict[str, Float32s]:
    pairs = Pairs(users=user_states(users, side), items=side, asking=asking_nothing(users, side), item_idx=candidates)
    return {one.name.removeprefix("pair_").removesuffix("_association"): pairs.value(one) for one in FEATURES}


def features_of(history: Sequence[Rating], weights: Sequence[float]) -> dict[str, float]:
    """The features of the last item, for which history item j calls with the j-th weight."""
    n_items = len(weights) + 1
    shown, offered = np.zeros((n_items, 1), np.float32), np.zeros((n_items, 1), np.float32)
    shown[:-1, 0], offered[-1] = weights, 1
    side = side_of(shown.tolist())
    pairs = pairs_of([history], [[n_items - 1]], replace(side, learned=replace(side.learned, offered=offered)))
    return {one.name.removeprefix("pair_").removesuffix("_association"): pairs.value(one).item() for one in FEATURES}


def slowly(users: Histories, row: int, item: int) -> dict[str, float]:
    """One candidate of one user, one rating at a time."""
    own = slice(users.offsets[row], users.offsets[row + 1])
    stars = users.ratings[own].tolist()
    learned = SIDE.learned
    called = [float(np.dot(learned.shown[other].astype(float), learned.offered[item])) for other in users.item_idx[own]]

    def mean(chosen: list[float]) -> float:
        return sum(chosen) / len(chosen) if chosen else NAN

    likes = [one for one, star in zip(called, stars, strict=True) if star >= 4]
    return {
        "liked": mean(likes),
        "strongest": max(likes[-50:], default=NAN),
        "disliked": mean([one for one, star in zip(called, stars, strict=True) if star <= 2.5]),
        "recent": mean(called[-5:]),
        "last": mean(called[-1:]),
    }


def test_they_agree_with_the_slow_loop() -> None:
    values = values_of(USERS, CANDIDATES)
    assert ((USERS.ratings >= 4) & (USERS.rows == np.argmax(USERS.lengths))).sum() > N_STRONGEST / 2
    for row in range(USERS.n_users):
        for place, item in enumerate(CANDIDATES[row].tolist()):
            found = {name: array[row, place].item() for name, array in values.items()}
            assert found == pytest.approx(slowly(USERS, row, item), rel=1e-4, abs=1e-5, nan_ok=True)


def test_numbers_by_hand() -> None:
    """Two likes that call with 1 and 3, a shrug with 10, a dislike with -2, six ratings in all."""
    history = [(0, 5.0, 1), (1, 4.0, 2), (2, 3.0, 3), (3, 2.5, 4), (4, 3.5, 5), (5, 3.0, 6)]
    found = features_of(history, [1, 3, 10, -2, 0, 4])
    assert found == {"liked": 2, "strongest": 3, "disliked": -2, "recent": 3, "last": 4}


def test_each_is_one_float32_per_pair() -> None:
    values = values_of(USERS, CANDIDATES)
    assert len(values) == 5
    assert {(array.dtype, array.shape) for array in values.values()} == {(np.dtype(np.float32), CANDIDATES.shape)}


@pytest.mark.parametrize(
    ("stars", "missing"),
    [
        ([], {"liked", "strongest", "disliked", "recent", "last"}),
        ([5.0], {"disliked"}),
        ([1.0], {"liked", "strongest"}),
        ([3.0], {"liked", "strongest", "disliked"}),
        ([5.0, 1.0], set()),
    ],
)
def test_without_such_a_rating_there_is_no_such_number(stars: list[float], missing: set[str]) -> None:
    found = features_of([(item, star, item) for item, star in enumerate(stars)], [1.0] * len(stars))
    assert {name for name, value in found.items() if np.isnan(value)} == missing


def test_a_call_of_exactly_zero_is_a_number() -> None:
    assert features_of([(0, 5.0, 1)], [0])["strongest"] == 0


def test_the_strongest_is_sought_among_the_latest_likes_alone() -> None:
    """The first like calls loudest, and drops out with the fifty-first; a shrug in between does not push it out."""
    history = [(item, 5.0, item) for item in range(N_STRONGEST)]
    weights = [9.0, *[1.0] * (N_STRONGEST - 1)]
    shrug, like = (N_STRONGEST, 3.0, N_STRONGEST), (N_STRONGEST, 4.0, N_STRONGEST)
    assert features_of(history, weights)["strongest"] == 9
    assert features_of([*history, shrug], [*weights, 1])["strongest"] == 9
    assert features_of([*history, like], [*weights, 1])["strongest"] == 1


@pytest.mark.parametrize("rank", [1, 9, 128])
def test_a_users_bits_depend_neither_on_the_company_nor_on_the_other_candidates(rank: int) -> None:
    side = random_side(N_ITEMS, np.random.default_rng(rank), rank)
    together = values_of(USERS, CANDIDATES, side)
    for row in range(USERS.n_users):
        for places in (slice(0, 30), slice(3, 11), slice(7, 8)):
            alone = values_of(USERS.select(np.array([row])), CANDIDATES[[row], places], side)
            for name, array in alone.items():
                assert equal(array[0], together[name][row, places]), name


def test_without_factors_or_users_there_are_shapes_all_the_same() -> None:
    values = values_of(USERS, CANDIDATES, random_side(N_ITEMS, RNG, rank=0))
    assert all(set(array[~np.isnan(array)].tolist()) == {0} for array in values.values())
    nobody = values_of(USERS.select(np.array([], np.int64)), CANDIDATES[:0])
    assert {array.shape for array in nobody.values()} == {(0, 30)}
