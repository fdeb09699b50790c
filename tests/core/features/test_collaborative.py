"""What the user's ratings, and users who rate alike, say of a candidate."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

from recsys_core.arrays import Float32s
from recsys_core.data.histories import Histories
from recsys_core.features.item_inputs import ItemInputs
from recsys_core.features.pairs import N_RECENT, Pairs
from recsys_core.features.registry import features_of as declared_of
from recsys_core.features.state import user_states
from recsys_core.features.user_item import (
    N_STRONGEST,
    pair_before_lift,
    pair_neighbour_share,
    pair_next_lift,
    pair_recent_similarity_max,
    pair_recent_similarity_mean,
)
from tests.core.features.asked import (
    Asked,
    equal,
    evidence_of,
    neighbours_of,
    no_user_parts,
    pairs_of,
    random_side,
    side_of,
)
from tests.core.worlds import Rating, histories_from, random_histories

NAN = float("nan")
VECTORS = [[2.0, 0], [0, 3.0], [-1, 0], [0.6, 0.8]]


def cosines_of(history: list[Rating], candidates: list[int]) -> tuple[list[float], list[float]]:
    """Mean and highest of each candidate."""
    pairs = pairs_of([history], [candidates], side_of(VECTORS))
    found = [pairs.value(one)[0].tolist() for one in (pair_recent_similarity_mean, pair_recent_similarity_max)]
    return found[0], found[1]


def test_cosines_by_hand() -> None:
    mean, highest = cosines_of([(0, 4.0, 1), (1, 5.0, 2), (3, 1.0, 3)], [1, 3, 0])
    assert mean == pytest.approx([1.8 / 3, 2.4 / 3, 1.6 / 3])
    assert highest == pytest.approx([1, 1, 1])


def test_the_cosine_of_the_opposite_is_minus_one_and_not_missing() -> None:
    mean, highest = cosines_of([(0, 5.0, 1)], [2])
    assert mean == highest == [-1.0]


def test_an_empty_history_is_near_to_nothing_that_is_known() -> None:
    mean, highest = cosines_of([], [0, 1])
    assert np.isnan([mean, highest]).all()


def test_only_the_latest_ratings_count() -> None:
    side = side_of([[1, 0]] * 6 + [[0, 1]])
    pairs = pairs_of([[(item, 5.0, item) for item in range(7)]], [[6]], side)
    assert pairs.value(pair_recent_similarity_mean).item() == pytest.approx(1 / N_RECENT)


def test_cosines_agree_with_the_slow_loop(asked_of_people: Asked) -> None:
    pairs, unit = asked_of_people.pairs, asked_of_people.side.unit_vectors.astype(float)
    histories = pairs.users.histories
    for row in range(0, histories.n_users, 5):
        own = histories.item_idx[histories.offsets[row] : histories.offsets[row + 1]][-N_RECENT:]
        for place, item in enumerate(pairs.item_idx[row].tolist()):
            if item >= 0:
                cosines = (unit[own] @ unit[item]).tolist()
                expected = [sum(cosines) / len(cosines), max(cosines)] if cosines else [NAN, NAN]
                found = [
                    pairs.value(one)[row, place].item()
                    for one in (pair_recent_similarity_mean, pair_recent_similarity_max)
                ]
                assert found == pytest.approx(expected, abs=1e-5, nan_ok=True)


N_ASSOCIATED = 150
RNG = np.random.default_rng(0)
ASSOCIATED = random_side(N_ASSOCIATED, RNG)
ASKING = random_histories(4, n_users=40, n_items=N_ASSOCIATED)
OFFERED = np.stack([RNG.permutation(N_ASSOCIATED)[:30] for _ in range(ASKING.n_users)])
ASSOCIATIONS = [one for one in declared_of("user-item") if one.name.endswith("_association")]


def all_associations(
    users: Histories, candidates: npt.NDArray[np.int64], side: ItemInputs = ASSOCIATED
) -> dict[str, Float32s]:
    pairs = Pairs(
        users=user_states(users, side), items=side, user_parts=no_user_parts(users, side), item_idx=candidates
    )
    return {one.name.removeprefix("pair_").removesuffix("_association"): pairs.value(one) for one in ASSOCIATIONS}


def associations_of(history: Sequence[Rating], weights: Sequence[float]) -> dict[str, float]:
    """The features of the last item, for which history item j calls with the j-th weight."""
    n_items = len(weights) + 1
    history_factors, target_factors = np.zeros((n_items, 1), np.float32), np.zeros((n_items, 1), np.float32)
    history_factors[:-1, 0], target_factors[-1] = weights, 1
    side = side_of(history_factors.tolist())
    pairs = pairs_of(
        [history], [[n_items - 1]], replace(side, learned=replace(side.learned, target_factors=target_factors))
    )
    return {
        one.name.removeprefix("pair_").removesuffix("_association"): pairs.value(one).item() for one in ASSOCIATIONS
    }


def slow_associations(users: Histories, row: int, item: int) -> dict[str, float]:
    """One candidate of one user, one rating at a time."""
    own = slice(users.offsets[row], users.offsets[row + 1])
    stars = users.ratings[own].tolist()
    learned = ASSOCIATED.learned
    called = [
        float(np.dot(learned.history_factors[other].astype(float), learned.target_factors[item]))
        for other in users.item_idx[own]
    ]

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


def test_associations_agree_with_the_slow_loop() -> None:
    values = all_associations(ASKING, OFFERED)
    assert ((ASKING.ratings >= 4) & (ASKING.rows == np.argmax(ASKING.lengths))).sum() > N_STRONGEST / 2
    for row in range(ASKING.n_users):
        for place, item in enumerate(OFFERED[row].tolist()):
            found = {name: array[row, place].item() for name, array in values.items()}
            assert found == pytest.approx(slow_associations(ASKING, row, item), rel=1e-4, abs=1e-5, nan_ok=True)


def test_associations_by_hand() -> None:
    """Two likes that call with 1 and 3, a shrug with 10, a dislike with -2, six ratings in all."""
    history = [(0, 5.0, 1), (1, 4.0, 2), (2, 3.0, 3), (3, 2.5, 4), (4, 3.5, 5), (5, 3.0, 6)]
    found = associations_of(history, [1, 3, 10, -2, 0, 4])
    assert found == {"liked": 2, "strongest": 3, "disliked": -2, "recent": 3, "last": 4}


def test_each_is_one_float32_per_pair() -> None:
    values = all_associations(ASKING, OFFERED)
    assert len(values) == 5
    assert {(array.dtype, array.shape) for array in values.values()} == {(np.dtype(np.float32), OFFERED.shape)}


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
    found = associations_of([(item, star, item) for item, star in enumerate(stars)], [1.0] * len(stars))
    assert {name for name, value in found.items() if np.isnan(value)} == missing


def test_a_call_of_exactly_zero_is_a_number() -> None:
    assert associations_of([(0, 5.0, 1)], [0])["strongest"] == 0


def test_the_strongest_is_sought_among_the_latest_likes_alone() -> None:
    """The first like calls loudest, and drops out with the fifty-first; a shrug in between does not push it out."""
    history = [(item, 5.0, item) for item in range(N_STRONGEST)]
    weights = [9.0, *[1.0] * (N_STRONGEST - 1)]
    shrug, like = (N_STRONGEST, 3.0, N_STRONGEST), (N_STRONGEST, 4.0, N_STRONGEST)
    assert associations_of(history, weights)["strongest"] == 9
    assert associations_of([*history, shrug], [*weights, 1])["strongest"] == 9
    assert associations_of([*history, like], [*weights, 1])["strongest"] == 1


@pytest.mark.parametrize("rank", [1, 9, 128])
def test_a_users_bits_depend_neither_on_the_company_nor_on_the_other_candidates(rank: int) -> None:
    side = random_side(N_ASSOCIATED, np.random.default_rng(rank), rank)
    together = all_associations(ASKING, OFFERED, side)
    for row in range(ASKING.n_users):
        for places in (slice(0, 30), slice(3, 11), slice(7, 8)):
            alone = all_associations(ASKING.select(np.array([row])), OFFERED[[row], places], side)
            for name, array in alone.items():
                assert equal(array[0], together[name][row, places]), name


def test_without_factors_or_users_there_are_shapes_all_the_same() -> None:
    values = all_associations(ASKING, OFFERED, random_side(N_ASSOCIATED, RNG, rank=0))
    assert all(set(array[~np.isnan(array)].tolist()) == {0} for array in values.values())
    nobody = all_associations(ASKING.select(np.array([], np.int64)), OFFERED[:0])
    assert {array.shape for array in nobody.values()} == {(0, 30)}


N_LIFTED = 60
LIFT_RNG = np.random.default_rng(0)
LIFTS = sp.csr_array(
    np.where(LIFT_RNG.random((N_LIFTED, N_LIFTED)) < 0.2, LIFT_RNG.random((N_LIFTED, N_LIFTED)), 0), dtype=np.float32
)
VISITORS = random_histories(2, n_users=25, n_items=N_LIFTED)
LIFTED = np.stack([LIFT_RNG.permutation(N_LIFTED)[:15] for _ in range(VISITORS.n_users)])
LIFT_FEATURES = (pair_next_lift, pair_before_lift)


def pairs_with(lifts: sp.csr_array, histories: list[list[Rating]], item_idx: npt.NDArray[np.int64]) -> Pairs:
    side = side_of([[1.0]] * lifts.shape[0])
    learned = replace(side.learned, following=lifts, preceding=lifts.T.tocsr())
    return pairs_of(histories, item_idx.tolist(), replace(side, learned=learned))


def visits(row: int) -> list[Rating]:
    own = slice(VISITORS.offsets[row], VISITORS.offsets[row + 1])
    columns = (VISITORS.item_idx[own], VISITORS.ratings[own], VISITORS.timestamps[own])
    return list(zip(*(column.tolist() for column in columns), strict=True))


VISITS = [visits(row) for row in range(VISITORS.n_users)]


def test_lifts_by_hand() -> None:
    """Of item 0, item 2 follows three times as often as at any time, and item 1 nothing that is known."""
    lifts = sp.csr_array(np.array([[0, 0, 3], [0, 0, 0], [0, 5, 0]]), dtype=np.float32)
    pairs = pairs_with(lifts, [[(0, 1.0, 1), (1, 5.0, 2)]], np.array([[2, 1]]))
    assert pairs.value(pair_next_lift).tolist() == [pytest.approx([np.log(1 + 3 / 2), 0])]
    assert pairs.value(pair_before_lift).tolist() == [pytest.approx([np.log(1 + 5 / 2), 0])]


def test_it_is_the_log_of_the_mean_lift_after_the_five_latest() -> None:
    pairs, dense = pairs_with(LIFTS, VISITS, LIFTED), LIFTS.toarray()
    for row in range(VISITORS.n_users):
        recent = VISITORS.item_idx[VISITORS.offsets[row] : VISITORS.offsets[row + 1]][-5:]
        for place, item in enumerate(LIFTED[row]):
            after = dense[recent, item].mean() if len(recent) else np.nan
            before = dense[item, recent].mean() if len(recent) else np.nan
            assert pairs.value(pair_next_lift)[row, place] == pytest.approx(np.log1p(after), rel=1e-5, nan_ok=True)
            assert pairs.value(pair_before_lift)[row, place] == pytest.approx(np.log1p(before), rel=1e-5, nan_ok=True)


def test_an_empty_history_says_nothing_and_one_that_nothing_follows_says_zero() -> None:
    nothing = sp.csr_array((N_LIFTED, N_LIFTED), dtype=np.float32)
    pairs = pairs_with(nothing, [[], [(0, 5.0, 1)]], LIFTED[:2])
    for one in LIFT_FEATURES:
        assert np.isnan(pairs.value(one)[0]).all()
        assert set(pairs.value(one)[1].tolist()) == {0.0}
        assert pairs.value(one).dtype == np.float32


def test_a_user_means_the_same_in_any_company_and_with_any_candidates() -> None:
    together = pairs_with(LIFTS, VISITS, LIFTED)
    for row in range(VISITORS.n_users):
        for places in (slice(0, 15), slice(3, 4)):
            alone = pairs_with(LIFTS, [VISITS[row]], LIFTED[[row], places])
            for one in LIFT_FEATURES:
                assert equal(alone.value(one)[0], together.value(one)[row, places]), one.name


NEIGHBOURS = neighbours_of(histories_from([[(0, 5.0, 1), (1, 5.0, 2)], [(0, 5.0, 1), (2, 5.0, 2)]], 4), [1, 0.5])
FOUR_ITEMS = side_of([[1.0]] * 4)
WITH_NEIGHBOURS = replace(FOUR_ITEMS, learned=replace(FOUR_ITEMS.learned, neighbours=NEIGHBOURS))


def test_neighbour_shares_by_hand() -> None:
    """Both are equally like the user; who rated last counts twice as much."""
    pairs = pairs_of([[(0, 5.0, 9)], []], [[1, 2, 3], [1, 2, 3]], WITH_NEIGHBOURS)
    found = pairs.value(pair_neighbour_share)
    assert found[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert np.isnan(found[1]).all(), "of somebody without a history nothing is known"
    assert found.dtype == np.float32


def test_it_is_the_share_of_the_towers_neighbours_by_the_evidence_of_the_request(asked_of_people: Asked) -> None:
    pairs = asked_of_people.pairs
    users = pairs.users.histories
    expected = asked_of_people.side.learned.neighbours.liked_share(users, evidence_of(users), pairs.item_idx)
    assert equal(pairs.value(pair_neighbour_share), expected)
    assert 0 < np.nanmean(expected) < 1


def test_an_absent_candidate_is_no_fault() -> None:
    pairs = pairs_of([[(0, 5.0, 9)]], [[1, -1]], WITH_NEIGHBOURS)
    assert pairs.value(pair_neighbour_share)[0, 0] == pytest.approx(2 / 3)
