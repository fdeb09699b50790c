"""The ranker's matrix: order, bounds, gaps, and that a user's numbers are the user's own."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from recsys_core.features.contract import FEATURE_NAMES, names_of, violations
from recsys_core.features.declarations import FEATURES
from tests import tiny_world
from tests.core.features.conftest import Asked, Asking
from tests.core.tables_by_hand import shuffled

OF_THE_LIST = {"pair_retrieval_rank", "pair_retrieval_z"}
"""What depends on the user's other candidates."""


def present(asked: Asked) -> pl.DataFrame:
    """The rows that have a candidate, as a table."""
    return pl.DataFrame(asked.matrix()[asked.item_idx >= 0], schema=list(FEATURE_NAMES), orient="row")


def column(matrix: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = matrix[:, :, FEATURE_NAMES.index(name)]
    return values


def equal(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    """Bit for bit, where all NaN are one."""
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)


def test_columns_follow_the_contract(asked: Asked) -> None:
    matrix = asked.matrix()
    assert matrix.shape == (*asked.item_idx.shape, len(FEATURES))
    assert matrix.dtype == np.float32
    for row, user_id in enumerate(asked.users.user_ids.tolist()):
        user = asked.user_rows.filter(user_id=user_id).row(0, named=True)
        item = asked.item_rows.row(int(asked.item_idx[row, 2]), named=True)
        for name in names_of("user") + names_of("item"):
            expected = (user | item)[name]
            found = column(matrix, name)[row, 2]
            assert found == np.float32(expected) if expected is not None else np.isnan(found), name


def test_every_feature_of_the_tiny_world_keeps_its_declaration(asked: Asked) -> None:
    assert violations(present(asked)) == []


def test_every_feature_of_the_embedded_data_keeps_its_declaration(asked_of_people: Asked) -> None:
    assert violations(present(asked_of_people)) == []


def test_what_may_be_missing_is_missing_somewhere_and_nothing_is_constant(asked_of_people: Asked) -> None:
    """A feature that says the same of everything would be a fault of its code, or a waste."""
    rows = present(asked_of_people)
    for feature in FEATURES:
        values = rows[feature.name].fill_nan(None).drop_nulls()
        assert values.n_unique() > 5, feature.name
        assert values.is_finite().all()


def test_without_a_candidate_all_is_missing(asked: Asked) -> None:
    matrix = asked.matrix()
    assert (asked.item_idx < 0).any()
    assert np.isnan(matrix[asked.item_idx < 0]).all()


def test_the_order_of_the_input_changes_no_bit(asked: Asked, asking: Asking) -> None:
    again = asking(shuffled(tiny_world.ratings()), shuffled(tiny_world.movies()))
    assert equal(again.matrix(), asked.matrix())
    assert equal(replace(asked, user_rows=shuffled(asked.user_rows)).matrix(), asked.matrix())


def test_what_comes_after_the_request_changes_no_bit(asked: Asked, asking: Asking) -> None:
    """The stars of all targets, and all that is said after them, are swapped for others."""
    ratings = tiny_world.ratings()
    last_known = asked.users.timestamps[asked.users.offsets[1:] - 1]
    ends = pl.DataFrame({"user_id": asked.users.user_ids, "end": last_known})
    cut_off = int(np.quantile(ratings["timestamp"].to_numpy(), 0.9))
    unknown = (pl.col("timestamp") > pl.col("end")) & (pl.col("timestamp") >= cut_off)
    # Likes stay likes, so that the same users are asked.
    other = pl.when(unknown & (pl.col("rating") >= 4)).then(9 - pl.col("rating")).otherwise("rating").cast(pl.Float32)
    changed = ratings.join(ends, on="user_id", how="left").with_columns(rating=other).select(ratings.columns)
    assert not changed.equals(ratings)
    assert equal(asking(changed, tiny_world.movies()).matrix(), asked.matrix())


def test_a_user_alone_gets_the_bits_of_the_batch(asked_of_people: Asked) -> None:
    """Training sees many users at once, serving one: the same numbers, or the ranker reads something else."""
    matrix = asked_of_people.matrix()
    for row in range(asked_of_people.users.n_users):
        assert equal(asked_of_people.only([row]).matrix(), matrix[[row]])
    backwards = list(range(asked_of_people.users.n_users))[::-1]
    assert equal(asked_of_people.only(backwards).matrix(), matrix[::-1])


def test_other_candidates_change_only_what_compares_them(asked: Asked) -> None:
    first = asked.only(list(range(asked.users.n_users)), slice(0, 1)).matrix()
    for name in set(FEATURE_NAMES) - OF_THE_LIST:
        assert equal(column(first, name), column(asked.matrix(), name)[:, :1]), name


def test_scores_of_absent_candidates_do_not_matter(asked: Asked) -> None:
    filled = np.where(asked.item_idx < 0, np.float32(-np.inf), asked.scores)
    assert equal(replace(asked, scores=filled).matrix(), asked.matrix())


def test_somebody_without_a_history_rated_nothing_and_the_rest_is_missing(asked: Asked) -> None:
    users = replace(
        asked.users.select(np.array([], dtype=np.int64)), user_ids=np.array([10**6]), offsets=np.array([0, 0])
    )
    new = replace(asked.only([1]), users=users)
    assert violations(present(new)) == []
    matrix = new.matrix()
    assert (column(matrix, "user_n_ratings") == 0).all()
    for name in names_of("user")[1:]:
        assert np.isnan(column(matrix, name)).all(), name
    assert np.isfinite(column(matrix, "item_popularity_share")).all()


def test_a_history_without_its_row_is_missing_not_zero(asked: Asked) -> None:
    """The table is stale: that must show, and not pass for a user who rated nothing."""
    lost = asked.users.user_ids[1].item()
    matrix = replace(asked, user_rows=asked.user_rows.filter(pl.col("user_id") != lost)).matrix()
    assert np.isnan(column(matrix, "user_n_ratings")[1]).all()
    assert violations(pl.DataFrame(matrix[1], schema=list(FEATURE_NAMES), orient="row"))


@pytest.mark.parametrize("n_users", [0, 1])
def test_few_users_are_no_exception(asked: Asked, n_users: int) -> None:
    assert asked.only(list(range(n_users))).matrix().shape == (n_users, asked.item_idx.shape[1], len(FEATURES))
