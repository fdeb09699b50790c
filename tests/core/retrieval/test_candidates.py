"""Candidates: the best unseen items, by whatever search."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys_core.arrays import Float32s
from recsys_core.data.histories import NEVER, Histories, first_rated_at
from recsys_core.data.schemas import LIKED
from recsys_core.days import DAY_S
from recsys_core.retrieval.candidates import Candidates, FirstRatings, find_candidates, seen_at
from recsys_core.retrieval.config import IndexConfig
from recsys_core.retrieval.index import ExactSearch, build_index
from tests.core.worlds import TinyRun, histories_from, pairs_of, random_histories

Find = Callable[..., Candidates]


def exact_candidates(
    items: Float32s, queries: Float32s, users: Histories, n: int, first_ratings: FirstRatings | None = None
) -> Candidates:
    return find_candidates(ExactSearch(vectors=items), queries, users, n, first_ratings)


def by_flat_index(
    items: Float32s, queries: Float32s, users: Histories, n: int, first_ratings: FirstRatings | None = None
) -> Candidates:
    return find_candidates(build_index(items, np.arange(len(items)), IndexConfig()), queries, users, n, first_ratings)


def by_inverted_file(
    items: Float32s, queries: Float32s, users: Histories, n: int, first_ratings: FirstRatings | None = None
) -> Candidates:
    config = IndexConfig(flat_until=0, n_probe=2)
    return find_candidates(build_index(items, np.arange(len(items)), config), queries, users, n, first_ratings)


EXACT_PATHS = pytest.mark.parametrize("find", [exact_candidates, by_flat_index])
ALL_PATHS = pytest.mark.parametrize("find", [exact_candidates, by_flat_index, by_inverted_file])


def normal(seed: int, *shape: int) -> Float32s:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@EXACT_PATHS
def test_candidates_by_hand(find: Find) -> None:
    items = np.array([[5], [4], [3], [2], [1]], dtype=np.float32)
    users = histories_from([[(0, 5.0, 1), (2, 1.0, 2)], [], [(item, 3.0, item) for item in range(5)]], n_items=5)
    found = find(items, np.array([[1], [-1], [1]], dtype=np.float32), users, 4)
    assert found.item_idx.tolist() == [[1, 3, 4, -1], [4, 3, 2, 1], [-1, -1, -1, -1]]
    assert found.scores.tolist() == [[4, 2, 1, -np.inf], [-1, -2, -3, -4], [-np.inf] * 4]


@ALL_PATHS
@pytest.mark.parametrize("seed", range(5))
def test_no_rated_item_is_ever_a_candidate(find: Find, seed: int) -> None:
    """Whatever its stars; users with up to all but one item rated, many to a batch."""
    users = random_histories(seed, n_users=700, n_items=60)
    found = find(normal(seed, 60, 8), normal(seed + 99, 700, 8), users, 20)
    rows, places = np.nonzero(found.item_idx >= 0)
    assert not pairs_of(users) & set(zip(rows.tolist(), found.item_idx[rows, places].tolist(), strict=True))


@ALL_PATHS
def test_lists_hold_no_item_twice_fall_in_score_and_end_in_padding(find: Find) -> None:
    users = random_histories(1, n_users=100, n_items=60)
    items, queries = normal(2, 60, 8), normal(3, 100, 8)
    found = find(items, queries, users, 30)
    for user in range(100):
        n = int((found.item_idx[user] >= 0).sum())
        listed, scores = found.item_idx[user, :n], found.scores[user, :n]
        assert len(set(listed.tolist())) == n
        assert np.all(np.diff(scores) <= 0)
        np.testing.assert_allclose(scores, items[listed] @ queries[user], rtol=1e-4, atol=1e-5)
        assert found.item_idx[user, n:].tolist() == [-1] * (30 - n)
        assert np.all(np.isneginf(found.scores[user, n:]))


@EXACT_PATHS
def test_all_unseen_items_come_back_where_the_user_has_rated_nearly_all(find: Find) -> None:
    users = random_histories(4, n_users=50, n_items=25)
    found = find(normal(4, 25, 8), normal(5, 50, 8), users, 20)
    assert np.array_equal((found.item_idx >= 0).sum(axis=1), np.minimum(25 - users.lengths, 20))


@EXACT_PATHS
def test_who_has_rated_the_best_items_still_gets_a_full_list(find: Find) -> None:
    items = np.arange(100, 0, -1, dtype=np.float32)[:, None]
    users = histories_from([[(item, 5.0, item) for item in range(60)]], n_items=100)
    assert find(items, np.ones((1, 1), dtype=np.float32), users, 10).item_idx[0].tolist() == list(range(60, 70))


def test_both_searches_agree() -> None:
    users = random_histories(6, n_users=600, n_items=80)  # more than one batch
    items, queries = normal(6, 80, 8), normal(7, 600, 8)
    exact, indexed = exact_candidates(items, queries, users, 30), by_flat_index(items, queries, users, 30)
    assert np.array_equal(exact.item_idx, indexed.item_idx)
    np.testing.assert_allclose(exact.scores, indexed.scores, rtol=1e-5, atol=1e-5)


@EXACT_PATHS
def test_a_users_candidates_do_not_depend_on_who_asks_beside_them(find: Find) -> None:
    users = random_histories(8, n_users=600, n_items=80)
    items, queries = normal(8, 80, 8), normal(9, 600, 8)
    together = find(items, queries, users, 30)
    for user in (0, 17, 599):
        alone = find(items, queries[[user]], users.select(np.array([user])), 30)
        assert np.array_equal(alone.item_idx[0], together.item_idx[user])
        np.testing.assert_allclose(alone.scores[0], together.scores[user], rtol=1e-5, atol=1e-5)


def test_equal_scores_come_in_the_order_of_the_items() -> None:
    items = np.array([[1], [2], [2], [1], [2]], dtype=np.float32)
    users = histories_from([[(1, 5.0, 1)]], n_items=5)
    assert exact_candidates(items, np.ones((1, 1), dtype=np.float32), users, 4).item_idx.tolist() == [[2, 4, 0, 3]]


@pytest.mark.parametrize("seed", range(20))
def test_a_tie_at_the_end_of_the_list_goes_to_the_first_items_whatever_was_fetched(seed: int) -> None:
    """A neighbour with a long history makes the search fetch more; that must not change who wins a tie."""
    rng = np.random.default_rng(seed)
    items, ones = rng.integers(0, 4, (100, 1)).astype(np.float32), np.ones((2, 1), dtype=np.float32)
    neighbour = [(int(item), 5.0, 1) for item in rng.permutation(100)[: rng.integers(0, 60)]]
    found = exact_candidates(items, ones, histories_from([[], neighbour], n_items=100), 10)
    assert found.item_idx[0].tolist() == np.argsort(-items[:, 0], kind="stable")[:10].tolist()


def test_without_users_there_are_no_candidates() -> None:
    found = exact_candidates(normal(1, 5, 3), normal(1, 0, 3), histories_from([], n_items=5), 4)
    assert found.item_idx.shape == found.scores.shape == (0, 4)


def test_without_a_policy_for_rewatching_all_that_was_rated_is_seen() -> None:
    users = random_histories(1, n_users=20, n_items=30)
    assert seen_at(users, np.zeros(20, dtype=np.int64), None) is users


@pytest.mark.parametrize("days", [1, 45, 46, 47, 2_000])
def test_a_like_of_long_ago_is_no_longer_seen_and_everything_else_is(days: int) -> None:
    users = random_histories(2, n_users=200, n_items=60)
    requested_at = np.random.default_rng(2).integers(50, 300, 200) * 2_000_000
    seen = seen_at(users, requested_at, days)
    columns = users.rows, users.item_idx, users.ratings, users.timestamps
    expected = {
        (int(row), int(item), float(stars), int(at))
        for row, item, stars, at in zip(*columns, strict=True)
        if stars < LIKED or requested_at[row] - at < days * DAY_S
    }
    found = zip(seen.rows, seen.item_idx, seen.ratings, seen.timestamps, strict=True)
    assert {(int(row), int(item), float(stars), int(at)) for row, item, stars, at in found} == expected
    assert seen.user_ids.tolist() == users.user_ids.tolist()


def test_the_day_of_return_counts_to_the_second() -> None:
    users = histories_from([[(0, 4.0, 1_000), (1, 3.5, 1_000)]] * 2, n_items=2)
    seen = seen_at(users, np.array([1_000 + DAY_S, 999 + DAY_S]), 1)
    assert (seen.offsets.tolist(), seen.item_idx.tolist()) == ([0, 1, 3], [1, 0, 1])


@ALL_PATHS
def test_what_may_be_watched_again_is_a_candidate_by_its_score(find: Find) -> None:
    items = np.array([[5], [4], [3]], dtype=np.float32)
    users = histories_from([[(0, 5.0, 1_000), (1, 2.0, 1_000)]], n_items=3)
    seen = seen_at(users, np.array([1_000 + DAY_S]), 1)
    found = find(items, np.ones((1, 1), dtype=np.float32), seen, 3).item_idx.tolist()
    assert found == [[0, 2, -1]]


# ---- what did not exist yet ----


@EXACT_PATHS
def test_an_item_first_rated_at_or_after_the_request_is_no_candidate(find: Find) -> None:
    """Each user asks a second later than the one before; item 0 comes out in second 10, item 1 in second 11."""
    items = np.array([[5], [4], [3]], dtype=np.float32)
    first_ratings = FirstRatings(first_rated_at=np.array([10, 11, 0]), requested_at=np.array([10, 11, 12]))
    found = find(items, np.ones((3, 1), dtype=np.float32), histories_from([[], [], []], 3), 3, first_ratings)
    assert found.item_idx.tolist() == [[2, -1, -1], [0, 2, -1], [0, 1, 2]]
    assert np.isneginf(found.scores[found.item_idx < 0]).all()


@ALL_PATHS
@pytest.mark.parametrize("seed", range(3))
def test_neither_seen_nor_unborn_items_are_ever_candidates(find: Find, seed: int) -> None:
    users, rng = random_histories(seed, n_users=300, n_items=60), np.random.default_rng(seed)
    first_ratings = FirstRatings(first_rated_at=rng.integers(0, 100, 60), requested_at=rng.integers(0, 120, 300))
    found = find(normal(seed, 60, 8), normal(seed + 99, 300, 8), users, 20, first_ratings)
    rows, places = np.nonzero(found.item_idx >= 0)
    listed = found.item_idx[rows, places]
    assert (first_ratings.first_rated_at[listed] < first_ratings.requested_at[rows]).all()
    assert not pairs_of(users) & set(zip(rows.tolist(), listed.tolist(), strict=True))


@EXACT_PATHS
def test_all_others_come_back_however_many_are_unborn(find: Find) -> None:
    users, rng = random_histories(4, n_users=50, n_items=25), np.random.default_rng(4)
    first_ratings = FirstRatings(first_rated_at=rng.integers(0, 100, 25), requested_at=rng.integers(0, 120, 50))
    found = find(normal(4, 25, 8), normal(5, 50, 8), users, 20, first_ratings)
    seen = users.seen().toarray() > 0
    open_to = ~seen & (first_ratings.first_rated_at < first_ratings.requested_at[:, None])
    assert np.array_equal((found.item_idx >= 0).sum(axis=1), np.minimum(open_to.sum(axis=1), 20))


@EXACT_PATHS
def test_a_users_candidates_do_not_depend_on_when_others_ask(find: Find) -> None:
    """Whoever asks early makes the search of a batch fetch more, so that enough is left for them."""
    users, rng = random_histories(8, n_users=600, n_items=80), np.random.default_rng(8)
    items, queries = normal(8, 80, 8), normal(9, 600, 8)
    first_ratings = FirstRatings(first_rated_at=rng.integers(0, 100, 80), requested_at=rng.integers(0, 120, 600))
    together = find(items, queries, users, 30, first_ratings)
    for user in range(0, 600, 40):
        own = np.array([user])
        at_the_time = FirstRatings(
            first_rated_at=first_ratings.first_rated_at, requested_at=first_ratings.requested_at[own]
        )
        alone = find(items, queries[own], users.select(own), 30, at_the_time)
        assert np.array_equal(alone.item_idx[0], together.item_idx[user])
        np.testing.assert_allclose(alone.scores[0], together.scores[user], rtol=1e-5, atol=1e-5)


def test_an_item_without_a_rating_is_never_found_among_the_rated(tiny: TinyRun) -> None:
    model = tiny.model
    born = first_rated_at(tiny.ratings.filter(pl.col("item_id") != model.catalogue.item_ids[3]), model.catalogue)
    assert np.flatnonzero(born == NEVER).tolist() == [3]
    first_ratings = FirstRatings(first_rated_at=born, requested_at=np.array([model.fit_end + 10**9]))
    assert np.flatnonzero(first_ratings.is_not_yet_rated(0)).tolist() == [3]


def test_the_towers_know_when_their_items_were_first_rated(tiny: TinyRun) -> None:
    first = dict(tiny.ratings.group_by("item_id").agg(pl.col("timestamp").min()).rows())
    for model in tiny.models.values():
        assert model.first_rated_at.tolist() == [first[item] for item in model.catalogue.item_ids.tolist()]
        assert model.first_rated_at.max() < model.fit_end
