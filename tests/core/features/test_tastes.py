"""Genres and years of a candidate against those of a history."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from recsys_core.features.item_inputs import ItemInputs
from recsys_core.features.pairs import N_RECENT, Pairs
from recsys_core.features.user_item import (
    pair_genre_affinity,
    pair_predicted_rating,
    pair_recent_genre_affinity,
    pair_year_distance,
)
from tests.core.features.asked import Asked, no_user_parts, pairs_of, side_of
from tests.core.worlds import Rating, histories_from

NAN = float("nan")
FEATURES = (pair_genre_affinity, pair_recent_genre_affinity, pair_year_distance)
FOUR_ITEMS = side_of([[1.0]] * 4, shares=[[1, 0], [0.5, 0.5], [0, 0], [0, 1]], years=[1990, 2000, NAN, 2010])


def features_of(history: Sequence[Rating], candidates: list[int], side: ItemInputs = FOUR_ITEMS) -> list[list[float]]:
    """Affinity, recent affinity, year distance of each candidate."""
    pairs = pairs_of([history], [candidates], side)
    return [pairs.value(one)[0].tolist() for one in FEATURES]


def same(found: list[float], expected: list[float]) -> bool:
    return found == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_numbers_by_hand() -> None:
    """The user likes items 0 and 1, and rated item 3 low and last."""
    taste, recent, years = features_of([(0, 4.0, 1), (1, 5.0, 2), (3, 1.0, 3)], [1, 3, 0])
    assert same(taste, [1, 0.25, 0.75]), "taste is 3/4 of genre 0 and 1/4 of genre 1"
    assert same(recent, [1, 0.5, 0.5]), "the low rating counts too"
    assert same(years, [5, 15, 5]), "from the mean year of the likes, 1995"


def test_an_item_without_genres_or_year_has_no_affinity_and_no_distance() -> None:
    assert [same(found, [NAN]) for found in features_of([(0, 5.0, 1)], [2])] == [True] * 3


def test_rated_items_without_genres_do_not_dilute_the_taste() -> None:
    taste, recent, _ = features_of([(0, 5.0, 1), (2, 5.0, 2)], [0])
    assert same(taste, [1])
    assert same(recent, [1])


def test_a_taste_that_is_wholly_other_is_zero_and_not_missing() -> None:
    taste, recent, _ = features_of([(3, 5.0, 1)], [0])
    assert taste == recent == [0.0]


def test_without_likes_there_is_no_taste_and_no_year_but_the_session_is_known() -> None:
    taste, recent, years = features_of([(0, 3.5, 1)], [0, 1, 3])
    assert same(taste, [NAN, NAN, NAN])
    assert same(recent, [1, 1, 0])
    assert same(years, [NAN, NAN, NAN])


@pytest.mark.parametrize("history", [[], [(2, 5.0, 1)]], ids=["empty", "of unknown genres and year"])
def test_of_such_a_history_nothing_is_known(history: list[Rating]) -> None:
    assert [same(found, [NAN, NAN]) for found in features_of(history, [0, 1])] == [True] * 3


def test_only_the_latest_ratings_are_the_session() -> None:
    """Six ratings of genre 0, the first two of which drop out when one of genre 1 follows."""
    side = side_of([[1.0]] * 7, shares=[[1, 0]] * 6 + [[0, 1]], years=[2000] * 7)
    taste, recent, _ = features_of([(item, 5.0, item) for item in range(7)], [6], side)
    assert same(recent, [1 / N_RECENT])
    assert same(taste, [1 / 7])


def test_an_affinity_never_passes_one_however_its_shares_are_rounded() -> None:
    thirds = side_of([[1.0]] * 40, shares=[[1 / 3, 1 / 3, 1 / 3]] * 40, years=[2000] * 40)
    taste, recent, _ = features_of([(item, 5.0, item) for item in range(40)], [0], thirds)
    assert taste[0] <= 1
    assert recent[0] <= 1


def test_predicted_stars_are_the_items_own_and_what_the_taste_adds() -> None:
    """Item 0 is rated half a star above the mean, and its first trait suits the user; item 1 has the other trait."""
    learned = replace(
        FOUR_ITEMS.learned,
        rating_biases=np.array([0.5, -0.25, 0, 0], dtype=np.float32),
        rating_factors=np.array([[2, 0], [0, 3], [0, 0], [0, 0]], dtype=np.float32),
    )
    side, nobody = replace(FOUR_ITEMS, learned=learned), histories_from([[]], 4)
    user_parts = replace(no_user_parts(nobody, side), rating=np.array([[0.25, -1]], dtype=np.float32))
    pairs = pairs_of([[]], [[0, 1, 2]], side, user_parts)
    assert pairs.value(pair_predicted_rating).tolist() == [[1.0, -3.25, 0.0]]


def test_they_agree_with_the_slow_loop(asked_of_people: Asked) -> None:
    pairs = asked_of_people.pairs
    for row in range(0, pairs.users.histories.n_users, 5):
        for place, item in enumerate(pairs.item_idx[row].tolist()):
            if item >= 0:
                found = [pairs.value(one)[row, place].item() for one in FEATURES]
                assert found == pytest.approx(slowly(pairs, row, item), rel=1e-5, abs=2e-4, nan_ok=True)  # of years


def slowly(pairs: Pairs, row: int, item: int) -> list[float]:
    histories, side = pairs.users.histories, pairs.items
    own = slice(histories.offsets[row], histories.offsets[row + 1])
    rated, stars = histories.item_idx[own].tolist(), histories.ratings[own].tolist()
    liked = [other for other, star in zip(rated, stars, strict=True) if star >= 4]
    years = [float(side.years[other]) for other in liked if not np.isnan(side.years[other])]
    distance = abs(float(side.years[item]) - sum(years) / len(years)) if years else NAN
    return [covered(liked, item, side), covered(rated[::-1][:N_RECENT], item, side), distance]


def covered(others: list[int], item: int, side: ItemInputs) -> float:
    """Mean share of the others' genres that the item has."""
    described = [other for other in others if side.has_genres[other]]
    if not described or not side.has_genres[item]:
        return NAN
    return sum(side.genre_shares[other][side.genre_shares[item] > 0].sum() for other in described) / len(described)
