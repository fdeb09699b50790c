"""Users to compare with: who is nearest, and what they liked."""

import numpy as np
import numpy.typing as npt
import pytest

from recsys_core.data.histories import Histories
from recsys_core.features.neighbours import LIKE_EVIDENCE, N_NEAREST, Neighbours
from tests.core.features.asked import equal, evidence_of, neighbours_of, random_neighbours
from tests.core.worlds import Rating, histories_from, random_histories

N_ITEMS = 60
RNG = np.random.default_rng(0)
MANY = random_neighbours(N_ITEMS, RNG, n_users=3 * N_NEAREST)
USERS = random_histories(2, n_users=25, n_items=N_ITEMS)
CANDIDATES = np.stack([RNG.permutation(N_ITEMS)[:15] for _ in range(USERS.n_users)])


def share_of(neighbours: Neighbours, histories: list[list[Rating]], candidates: list[int]) -> list[float]:
    """Of one user."""
    users = histories_from(histories, neighbours.n_items)
    (shares,) = neighbours.liked_share(users, evidence_of(users), np.array([candidates]))
    return shares.tolist()  # type: ignore[no-any-return]


def slowly(neighbours: Neighbours, own: dict[int, float], item: int) -> float:
    """One candidate of one user, one neighbour at a time."""
    found = []
    for row in range(len(neighbours.recency)):
        at = slice(neighbours.offsets[row], neighbours.offsets[row + 1])
        theirs = dict(zip(neighbours.item_idx[at].tolist(), neighbours.evidence[at].tolist(), strict=True))
        product = sum(value * theirs.get(other, 0) for other, value in own.items())
        lengths = [sum(value**2 for value in one.values()) ** 0.5 for one in (own, theirs)]
        weight = product / max(lengths[0] * lengths[1], 1e-6) * float(neighbours.recency[row])
        found.append((weight, theirs.get(item) == LIKE_EVIDENCE))
    nearest = sorted(found, key=lambda one: -one[0])[:N_NEAREST]
    total = sum(weight for weight, _ in nearest)
    return sum(weight for weight, liked in nearest if liked) / total if total > 0 else np.nan


def evidence_by_item(users: Histories, row: int) -> dict[int, float]:
    own = slice(users.offsets[row], users.offsets[row + 1])
    return dict(zip(users.item_idx[own].tolist(), evidence_of(users)[own].tolist(), strict=True))


def test_numbers_by_hand() -> None:
    """The first neighbour shares the like of item 0 and likes item 1; the second disliked 1 and is half as recent."""
    users = [[(0, 5.0, 1), (1, 5.0, 2)], [(0, 5.0, 1), (1, 1.0, 2)], [(3, 5.0, 1)]]
    neighbours = neighbours_of(histories_from(users, 5), [1, 0.5, 1])
    weights = [1 / 2**0.5, 0.5 / (1 + 0.25**2) ** 0.5]
    expected = [1.0, weights[0] / sum(weights), 0.0]
    assert share_of(neighbours, [[(0, 4.0, 9)]], [0, 1, 3]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("neighbours", [MANY, random_neighbours(N_ITEMS, RNG, n_users=40)], ids=["many", "few"])
def test_it_agrees_with_the_slow_loop(neighbours: Neighbours) -> None:
    """Also where there are more neighbours than are asked, and fewer than that."""
    shares = neighbours.liked_share(USERS, evidence_of(USERS), CANDIDATES)
    for row in range(USERS.n_users):
        own = evidence_by_item(USERS, row)
        expected = [slowly(neighbours, own, int(item)) for item in CANDIDATES[row]]
        np.testing.assert_allclose(shares[row], expected, rtol=1e-4, atol=1e-6)


def test_no_more_than_the_nearest_are_asked() -> None:
    """A hundred who are alike, and ten strangers of half the likeness, who all like item 2 and are not asked."""
    alike, other = [[(0, 5.0, 1), (1, 5.0, 2)]] * N_NEAREST, [[(0, 5.0, 1), (2, 5.0, 2), (3, 5.0, 3)]] * 10
    neighbours = neighbours_of(histories_from([*other, *alike], 4))
    assert share_of(neighbours, [[(0, 5.0, 1), (1, 5.0, 2)]], [1, 2]) == [1.0, 0.0]
    fewer = neighbours_of(histories_from([*other, *alike[:-5]], 4))
    assert share_of(fewer, [[(0, 5.0, 1), (1, 5.0, 2)]], [1, 2])[1] > 0.01


@pytest.mark.parametrize("history", [[], [(4, 5.0, 1)]], ids=["no history", "an item that no neighbour rated"])
def test_of_a_user_who_is_like_nobody_nothing_is_known(history: list[Rating]) -> None:
    neighbours = neighbours_of(histories_from([[(0, 5.0, 1), (1, 5.0, 2)]], 5))
    assert np.isnan(share_of(neighbours, [history], [0, 1, 3])).all()


def test_without_neighbours_nothing_is_known_of_anybody() -> None:
    nobody = neighbours_of(histories_from([], 5))
    assert np.isnan(share_of(nobody, [[(0, 5.0, 1)]], [0, 1])).all()


def test_what_no_neighbour_liked_is_zero_and_not_missing() -> None:
    neighbours = neighbours_of(histories_from([[(0, 5.0, 1), (1, 3.5, 2)]], 5))
    assert share_of(neighbours, [[(0, 5.0, 1)]], [1, 2]) == [0.0, 0.0]


def bits_of(row: int, places: slice) -> npt.NDArray[np.float32]:
    alone = USERS.select(np.array([row]))
    (shares,) = MANY.liked_share(alone, evidence_of(alone), CANDIDATES[[row], places])
    return shares


def test_a_user_means_the_same_in_any_company_and_with_any_candidates() -> None:
    together = MANY.liked_share(USERS, evidence_of(USERS), CANDIDATES)
    assert (together.dtype, together.shape) == (np.float32, CANDIDATES.shape)
    for row in range(USERS.n_users):
        for places in (slice(0, 15), slice(3, 4)):
            assert equal(bits_of(row, places), together[row, places])
