"""Users' ratings as offsets into flat arrays, and dense numbers for items."""

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.data.histories import Catalogue, Histories, catalogue_of, histories_of, rating_log_of
from recsys_core.data.schemas import RATINGS_COLUMNS
from tests import tiny_world
from tests.core.tables_by_hand import T0, random_ratings, ratings_of, shuffled


@pytest.fixture
def users() -> Histories:
    """User 7 rated three items, two of them in one second; user 8 none; user 9 one."""
    ratings = ratings_of([(7, 30, 4.0, 5), (7, 10, 2.0, 9), (7, 20, 4.5, 5), (9, 20, 3.5, 1)])
    return histories_of(ratings, catalogue_of(ratings), np.array([7, 8, 9]))


def test_the_catalogue_numbers_rated_items_by_ascending_id() -> None:
    catalogue = catalogue_of(ratings_of([(1, 30, 4.0, 0), (2, 10, 1.0, 0), (3, 30, 5.0, 1)]))
    assert catalogue.item_ids.tolist() == [10, 30]
    assert catalogue.n_items == 2


def test_a_movie_that_nobody_rated_yet_is_not_offered() -> None:
    """That it is listed at all tells that somebody will rate it: the future."""
    before = tiny_world.ratings().filter(pl.col("timestamp") < tiny_world.FIRST_DAY + 800 * tiny_world.DAY)
    catalogue = catalogue_of(before)
    assert catalogue.n_items < tiny_world.N_ITEMS
    assert set(catalogue.item_ids.tolist()) == set(before["item_id"].to_list())


def test_an_unknown_id_has_no_number_and_the_shape_is_kept() -> None:
    catalogue = Catalogue(item_ids=np.array([10, 20, 30]))
    asked = np.array([[30, 31, 10], [-1, 20, 9]])
    assert catalogue.idx_of(asked).tolist() == [[2, -1, 0], [-1, 1, -1]]


@pytest.mark.parametrize("asked", [[], [3, 4]])
def test_an_empty_catalogue_knows_nothing(asked: list[int]) -> None:
    empty = Catalogue(item_ids=np.array([], dtype=np.int64))
    assert empty.idx_of(np.array(asked, dtype=np.int64)).tolist() == [-1] * len(asked)


@given(st.sets(st.integers(0, 50)), st.lists(st.integers(-1, 51)))
def test_numbers_lead_back_to_ids(ids: set[int], asked: list[int]) -> None:
    catalogue = Catalogue(item_ids=np.array(sorted(ids), dtype=np.int64))
    for item_id, idx in zip(asked, catalogue.idx_of(np.array(asked, dtype=np.int64)).tolist(), strict=True):
        assert catalogue.item_ids[idx] == item_id if idx >= 0 else item_id not in ids


def test_histories_by_hand(users: Histories) -> None:
    assert users.user_ids.tolist() == [7, 8, 9]
    assert users.offsets.tolist() == [0, 3, 3, 4]
    assert users.lengths.tolist() == [3, 0, 1]
    assert users.rows.tolist() == [0, 0, 0, 2]
    assert users.item_idx.tolist() == [1, 2, 0, 1], "oldest first; within a second by item"
    assert users.timestamps.tolist() == [T0 + 5, T0 + 5, T0 + 9, T0 + 1]
    assert users.ratings.tolist() == [4.5, 4.0, 2.0, 3.5]


@given(st.integers(0, 10_000), st.integers(0, 60))
@settings(max_examples=40)
def test_histories_agree_with_the_slow_loop(seed: int, n: int) -> None:
    ratings = random_ratings(seed, n)
    catalogue = Catalogue(item_ids=np.arange(52, 60))  # some items are unknown
    asked = np.array([2, 3, 5, 99])
    users = histories_of(shuffled(ratings), catalogue, asked)
    for row, user_id in enumerate(asked.tolist()):
        own = [r for r in ratings.iter_rows(named=True) if r["user_id"] == user_id and 52 <= r["item_id"] < 60]
        own.sort(key=lambda r: (r["timestamp"], r["item_id"]))
        part = slice(users.offsets[row], users.offsets[row + 1])
        assert users.item_idx[part].tolist() == [r["item_id"] - 52 for r in own]
        assert users.ratings[part].tolist() == [r["rating"] for r in own]
        assert users.timestamps[part].tolist() == [r["timestamp"] for r in own]
    assert users.offsets[-1] == len(users.item_idx) == len(users.ratings) == len(users.timestamps)


def test_by_default_everybody_with_a_rating_has_a_row() -> None:
    ratings = tiny_world.ratings()
    users = histories_of(ratings, catalogue_of(ratings))
    assert users.user_ids.tolist() == sorted(set(ratings["user_id"].to_list()))
    assert users.lengths.sum() == ratings.height


def test_somebody_who_rated_only_unknown_items_keeps_an_empty_row() -> None:
    ratings = ratings_of([(1, 10, 5.0, 0), (2, 99, 5.0, 0)])
    users = histories_of(ratings, Catalogue(item_ids=np.array([10])))
    assert users.lengths.tolist() == [1, 0]


def test_nobody_asked_and_nothing_rated_are_empty_histories() -> None:
    ratings = random_ratings(0, 10)
    nobody = histories_of(ratings, catalogue_of(ratings), np.array([], dtype=np.int64))
    assert (nobody.n_users, len(nobody.item_idx), nobody.offsets.tolist()) == (0, 0, [0])
    nothing = histories_of(ratings.head(0), catalogue_of(ratings), np.array([4, 5]))
    assert (nothing.n_users, nothing.lengths.tolist(), nothing.likes().shape) == (2, [0, 0], (2, nothing.n_items))


def test_selected_users_come_in_the_order_asked_and_as_often(users: Histories) -> None:
    chosen = users.select(np.array([2, 0, 1, 2]))
    assert chosen.user_ids.tolist() == [9, 7, 8, 9]
    assert chosen.item_idx.tolist() == [1, 1, 2, 0, 1]
    assert chosen.offsets.tolist() == [0, 1, 4, 4, 5]
    assert users.select(np.array([], dtype=np.int64)).n_users == 0


def test_a_like_is_four_stars_or_more(users: Histories) -> None:
    assert users.likes().toarray().tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert users.seen().toarray().tolist() == [[1, 1, 1], [0, 0, 0], [0, 1, 0]]
    assert users.likes().nnz == 2, "ratings below are absent, not stored zeros"


def test_a_matrix_keeps_the_type_of_its_values(users: Histories) -> None:
    """Integers are summed up exactly; as floats they would not be."""
    large = np.full(len(users.item_idx), 2**53 + 1)
    assert users.matrix(large).dtype == np.int64
    assert set(users.matrix(large).data.tolist()) == {2**53 + 1}
    assert users.matrix(large.astype(np.float32)).dtype == np.float32


def test_matrices_do_not_share_memory_with_the_histories(users: Histories) -> None:
    values = np.array([1, 0, 2, 3], dtype=np.float32)
    users.matrix(values).data[:] = 9
    assert values.tolist() == [1, 0, 2, 3]
    assert users.item_idx.tolist() == [1, 2, 0, 1]


def test_weighted_sums_by_hand(users: Histories) -> None:
    table = np.array([[1, 0], [10, 1], [100, 2]], dtype=np.float32)
    weights = np.array([2, 3, 4, 5], dtype=np.float32)  # of items 1, 2, 0 of user 7, and of item 1 of user 9
    assert users.weighted_sums(weights, table).tolist() == [[324, 8], [0, 0], [50, 5]]
    assert users.weighted_sums(weights, table).dtype == np.float32


@given(st.integers(0, 999))
@settings(max_examples=20)
def test_a_weighted_sum_has_the_same_bits_whoever_is_beside(seed: int) -> None:
    """One user alone, as at a request, and all together, as in training; and it agrees with the slow loop."""
    rng = np.random.default_rng(seed)
    ratings = random_ratings(seed, 60)
    users = histories_of(ratings, catalogue_of(ratings))
    weights = rng.normal(size=len(users.item_idx)).astype(np.float32)
    table = (rng.normal(size=(users.n_items, 5)) * 10.0 ** rng.integers(-6, 6, 5)).astype(np.float32)
    together = users.weighted_sums(weights, table)
    for row in range(users.n_users):
        own = slice(users.offsets[row], users.offsets[row + 1])
        total = np.zeros(5, dtype=np.float32)
        for weight, item in zip(weights[own], users.item_idx[own], strict=True):
            total += weight * table[item]
        alone = users.select(np.array([row])).weighted_sums(weights[own], table)
        assert np.array_equal(alone[0], together[row])
        np.testing.assert_allclose(together[row], total, rtol=1e-5, atol=1e-4 * np.abs(total).max())


Asked = list[tuple[int, int]]
Given = list[tuple[int, int, float, int]]

GIVEN = st.lists(
    st.tuples(st.integers(1, 3), st.integers(50, 54), st.integers(1, 10).map(lambda half: half / 2), st.integers(0, 6)),
    max_size=30,
)
"""Few users, items and seconds: nearly every item is rated again, often in the same second."""

ASKED = st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 8)), max_size=12)
"""(user, second), in any order, some twice, some of nobody."""

KNOWN = Catalogue(item_ids=np.array([50, 51, 53, 54, 60]))


def log_of(rows: Given) -> pl.DataFrame:
    """Every rating, in the order in which they came: one item may be rated several times."""
    return pl.DataFrame(
        [(user, item, stars, T0 + at) for user, item, stars, at in rows], schema=RATINGS_COLUMNS, orient="row"
    )


def at(rows: Given, asked: Asked) -> Histories:
    times: npt.NDArray[np.int64] = np.array([T0 + second for _, second in asked], dtype=np.int64)
    return rating_log_of(log_of(rows), KNOWN).before(np.array([user for user, _ in asked], dtype=np.int64), times)


def histories_alike(one: Histories, other: Histories) -> bool:
    return all(
        getattr(one, name).tolist() == getattr(other, name).tolist()
        for name in ("user_ids", "offsets", "item_idx", "ratings", "timestamps")
    )


@given(GIVEN, ASKED)
@settings(max_examples=300)
def test_what_was_known_at_moments_agrees_with_the_slow_loop(rows: Given, asked: Asked) -> None:
    found = at(rows, asked)
    assert found.user_ids.tolist() == [user for user, _ in asked]
    assert (found.n_users, found.n_items) == (len(asked), 5)
    assert found.offsets[-1] == len(found.item_idx) == len(found.ratings) == len(found.timestamps)
    for row, (user, second) in enumerate(asked):
        latest: dict[int, tuple[int, int, float]] = {}
        for who, item, stars, when in sorted(rows, key=lambda one: one[3]):  # stable: the last of a second counts
            if who == user and when < second and item != 52:
                latest[item] = (when, KNOWN.item_ids.tolist().index(item), stars)
        own = slice(found.offsets[row], found.offsets[row + 1])
        expected = sorted(latest.values())
        assert found.timestamps[own].tolist() == [T0 + when for when, _, _ in expected]
        assert found.item_idx[own].tolist() == [item_idx for _, item_idx, _ in expected]
        assert found.ratings[own].tolist() == [stars for _, _, stars in expected]


@given(GIVEN, ASKED, GIVEN)
@settings(max_examples=100)
def test_what_comes_at_a_moment_or_later_changes_nothing_of_it(rows: Given, asked: Asked, later: Given) -> None:
    latest = max((second for _, second in asked), default=0)
    future = [(user, item, stars, latest + when) for user, item, stars, when in later]
    assert histories_alike(at(rows + future, asked), at(rows, asked))


@given(GIVEN, ASKED)
@settings(max_examples=100)
def test_a_question_alone_is_answered_as_among_others(rows: Given, asked: Asked) -> None:
    together = at(rows, asked)
    for row, one in enumerate(asked):
        assert histories_alike(at(rows, [one]), together.select(np.array([row])))


def test_a_rating_that_was_replaced_is_known_until_then_and_in_that_second() -> None:
    found = at([(1, 50, 5.0, 1), (1, 50, 1.0, 4)], [(1, second) for second in (1, 2, 4, 5)])
    assert [found.ratings[found.offsets[row] : found.offsets[row + 1]].tolist() for row in range(4)] == [
        [], [5.0], [5.0], [1.0]
    ]  # fmt: skip


def test_where_nobody_rates_anything_again_the_latest_moment_gives_the_histories() -> None:
    ratings = tiny_world.ratings()
    users = histories_of(ratings, catalogue_of(ratings))
    end = np.full(users.n_users, 2**40)
    assert histories_alike(rating_log_of(shuffled(ratings), catalogue_of(ratings)).before(users.user_ids, end), users)


def test_nobody_asked_and_nothing_rated_are_empty_at_any_moment() -> None:
    assert at([(1, 50, 5.0, 1)], []).offsets.tolist() == [0]
    assert at([], [(1, 5), (2, 5)]).offsets.tolist() == [0, 0, 0]
