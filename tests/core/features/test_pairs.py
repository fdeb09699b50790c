"""What was known of a user and a candidate together."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from recsys_core.data.histories import Histories
from recsys_core.features.associations import N_RECENT
from recsys_core.features.contract import names_of
from recsys_core.features.pairs import ItemSide, ItemVectors, Proposed, pair_features, recent_items
from tests.core.features.conftest import Asked
from tests.core.worlds import Rating, histories_from

Side = ItemSide
NAN = float("nan")


def side_of(shares: list[list[float]], years: list[float], vectors: list[list[float]]) -> ItemSide:
    """The closed form takes an item in a history and as an answer for the same: its weights are the cosines."""
    genres, unit = np.array(shares, dtype=np.float32), np.array(vectors, dtype=np.float32)
    nothing = sp.csr_array((len(unit), len(unit)), dtype=np.float32)
    return ItemSide(
        genre_shares=genres,
        has_genres=genres.sum(axis=1) > 0,
        years=np.array(years, dtype=np.float32),
        unit_vectors=unit,
        learned=ItemVectors(trained=unit, shown=unit, offered=unit, following=nothing, preceding=nothing),
    )


def proposed(item_idx: list[list[int]], scores: list[list[float]]) -> Proposed:
    """A quarter of each score is the closed form's."""
    values = np.array(scores, dtype=np.float32)
    closed, trend = values / np.float32(4), values / np.float32(8)
    return Proposed(item_idx=np.array(item_idx), scores=values, closed_form_scores=closed, trend_scores=trend)


FOUR_ITEMS = side_of(
    [[1, 0], [0.5, 0.5], [0, 0], [0, 1]],
    [1990, 2000, NAN, 2010],
    [[1, 0], [0, 1], [-1, 0], [0.6, 0.8]],
)


def features_of(history: list[Rating], candidates: list[int], liked_year: float = NAN) -> dict[str, list[float]]:
    """The pair features of one user; scores fall from 0."""
    some = proposed([candidates], [[-float(place) for place in range(len(candidates))]])
    years = np.array([liked_year], dtype=np.float32)
    values = pair_features(histories_from([history], 4), some, FOUR_ITEMS, years)
    assert {array.shape for array in values.values()} == {some.item_idx.shape}
    return {name.removeprefix("pair_"): array[0].tolist() for name, array in values.items()}


def same(found: list[float], expected: list[float]) -> bool:
    return found == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_every_pair_feature_of_the_contract_is_there(asked: Asked) -> None:
    years = np.full(asked.users.n_users, NAN, dtype=np.float32)
    values = pair_features(asked.users, asked.proposed, asked.side, years)
    assert list(values) == names_of("pair")
    assert {array.dtype for array in values.values()} == {np.dtype(np.float32)}


def test_numbers_by_hand() -> None:
    """The user likes items 0 and 1, and rated item 3 low and last."""
    found = features_of([(0, 4.0, 1), (1, 5.0, 2), (3, 1.0, 3)], [1, 3, 0], liked_year=1995)
    assert same(found["retrieval_score"], [0, -1, -2])
    assert same(found["retrieval_rank"], [1, 2, 3])
    assert same(found["retrieval_z"], [1.5**0.5, 0, -(1.5**0.5)])
    assert same(found["genre_affinity"], [1, 0.25, 0.75]), "taste is 3/4 of genre 0 and 1/4 of genre 1"
    assert same(found["recent_genre_affinity"], [1, 0.5, 0.5]), "the low rating counts too"
    assert same(found["recent_similarity_mean"], [1.8 / 3, 2.4 / 3, 1.6 / 3])
    assert same(found["recent_similarity_max"], [1, 1, 1])
    assert same(found["year_distance"], [5, 15, 5])
    assert same(found["closed_form_score"], [0, -0.25, -0.5])
    assert same(found["trend_score"], [0, -0.125, -0.25])
    assert same(found["trained_score"], [0, -0.625, -1.25])
    assert same(found["liked_association"], [0.5, 0.7, 0.5])
    assert same(found["disliked_association"], [0.8, 1, 0.6])


def test_an_item_without_genres_or_year_has_no_affinity_and_no_distance() -> None:
    found = features_of([(0, 5.0, 1)], [2], liked_year=1990)
    assert same(found["genre_affinity"], [NAN])
    assert same(found["recent_genre_affinity"], [NAN])
    assert same(found["year_distance"], [NAN])
    assert same(found["recent_similarity_max"], [-1])


def test_rated_items_without_genres_do_not_dilute_the_taste() -> None:
    assert same(features_of([(0, 5.0, 1), (2, 5.0, 2)], [0])["genre_affinity"], [1])


def test_without_likes_there_is_no_affinity_but_the_session_is_known() -> None:
    found = features_of([(0, 3.5, 1)], [0, 1, 3])
    assert same(found["genre_affinity"], [NAN, NAN, NAN])
    assert same(found["recent_genre_affinity"], [1, 1, 0])


def test_an_empty_history_leaves_only_what_retrieval_said() -> None:
    found = features_of([], [0, 1])
    assert same(found["retrieval_rank"], [1, 2])
    assert same(found["retrieval_z"], [1, -1])
    said = {"retrieval_score", "retrieval_rank", "retrieval_z", "closed_form_score", "trained_score", "trend_score"}
    assert said < set(found)
    for name in set(found) - said:
        assert same(found[name], [NAN, NAN]), name


def test_only_the_latest_ratings_are_the_session() -> None:
    """Six ratings of genre 0, the first of which drops out when one of genre 1 follows."""
    side = side_of([[1, 0]] * 6 + [[0, 1]], [2000] * 7, [[1, 0]] * 6 + [[0, 1]])
    history = [(item, 5.0, item) for item in range(7)]
    values = pair_features(histories_from([history], 7), proposed([[6]], [[0]]), side, np.zeros(1, np.float32))
    assert values["pair_recent_similarity_mean"].item() == pytest.approx(1 / N_RECENT)
    assert values["pair_recent_genre_affinity"].item() == pytest.approx(1 / N_RECENT)
    assert values["pair_genre_affinity"].item() == pytest.approx(1 / 7)


def test_recent_items_come_newest_first_and_end_with_the_history() -> None:
    users = histories_from([[(3, 5.0, 1), (1, 1.0, 2)], [], [(0, 5.0, 1), (2, 5.0, 2), (1, 5.0, 3)]], 4)
    assert recent_items(users, 2).tolist() == [[1, 3], [-1, -1], [1, 2]]
    assert recent_items(histories_from([[], []], 4), 2).tolist() == [[-1, -1], [-1, -1]]


@pytest.mark.parametrize("scores", [[2.0, 2.0, 2.0], [7.0]])
def test_equal_scores_say_nothing(scores: list[float]) -> None:
    some = proposed([list(range(len(scores)))], [scores])
    values = pair_features(histories_from([[]], 4), some, FOUR_ITEMS, np.zeros(1, np.float32))
    assert values["pair_retrieval_z"].tolist() == [[0.0] * len(scores)]


@pytest.mark.parametrize("filler", [-np.inf, np.nan, 0.0, 1e9])
def test_absent_candidates_do_not_shift_the_standardised_score(filler: float) -> None:
    """An index that finds fewer fills up with whatever it likes."""
    some = replace(proposed([[0, 1, -1, -1]], [[3, 1, 0, 0]]), scores=np.array([[3, 1, filler, filler]], np.float32))
    values = pair_features(histories_from([[]], 4), some, FOUR_ITEMS, np.zeros(1, np.float32))
    assert values["pair_retrieval_z"][0, :2].tolist() == [1.0, -1.0]


def test_it_agrees_with_the_slow_loop(asked: Asked) -> None:
    users, side = asked.users, asked.side
    years = np.linspace(1970, 2010, users.n_users, dtype=np.float32)
    years[1] = NAN
    values = pair_features(users, asked.proposed, side, years)
    for row in range(users.n_users):
        n = int((asked.item_idx[row] >= 0).sum())
        for place, item in enumerate(asked.item_idx[row, :n].tolist()):
            expected = slowly(users, row, item, side) | {
                "pair_retrieval_z": (asked.scores[row, place] - asked.scores[row, :n].mean())
                / asked.scores[row, :n].std(),
                "pair_year_distance": abs(side.years[item] - years[row]),
            }
            found = {name: values[name][row, place].item() for name in expected}
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-5, nan_ok=True)


def slowly(users: Histories, row: int, item: int, side: ItemSide) -> dict[str, float]:
    own = slice(users.offsets[row], users.offsets[row + 1])
    rated, stars = users.item_idx[own].tolist(), users.ratings[own].tolist()
    recent = rated[::-1][:N_RECENT]
    cosines = [float(side.unit_vectors[item] @ side.unit_vectors[other]) for other in recent]
    return {
        "pair_genre_affinity": covered([o for o, s in zip(rated, stars, strict=True) if s >= 4], item, side),
        "pair_recent_genre_affinity": covered(recent, item, side),
        "pair_recent_similarity_mean": sum(cosines) / len(cosines) if cosines else NAN,
        "pair_recent_similarity_max": max(cosines, default=NAN),
    }


def covered(others: list[int], item: int, side: ItemSide) -> float:
    """Mean share of the others' genres that the item has."""
    described = [other for other in others if side.has_genres[other]]
    if not described or not side.has_genres[item]:
        return NAN
    return sum(side.genre_shares[other][side.genre_shares[item] > 0].sum() for other in described) / len(described)
