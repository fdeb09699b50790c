"""What a slice lets models see, what it lets be known of a user, and its way through the disk."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.config import SplitsConfig
from recsys_core.data.slicing import make_splits
from recsys_core.data.splits import (
    EXAMS,
    TEST,
    VALIDATION,
    Splits,
    fit_ratings,
    known_ratings,
    relevant_items,
)
from tests import tiny_world
from tests.core.data.slices_by_hand import BY_HAND, QUARTERS, TABLES
from tests.core.tables_by_hand import T0, ratings_of, shuffled


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return tiny_world.ratings()


@pytest.fixture(scope="module")
def splits(ratings: pl.DataFrame) -> Splits:
    return make_splits(ratings, SplitsConfig())


def test_what_may_be_fitted_and_what_is_known_by_hand() -> None:
    ratings = ratings_of(BY_HAND)
    splits = make_splits(ratings, QUARTERS)
    assert fit_ratings(ratings, splits, VALIDATION).height == 6
    assert known_ratings(ratings, splits, VALIDATION).select("user_id", "item_id").rows() == [(2, 2), (2, 1)]
    assert known_ratings(ratings, splits, TEST).select("user_id", "item_id").rows() == [(3, 1)]


def test_who_is_asked_is_asked_at_the_cut_and_what_is_known_lies_before_it(
    ratings: pl.DataFrame, splits: Splits
) -> None:
    for name in splits.names:
        asked = splits.requests(name)
        assert asked.columns == ["user_id", "requested_at"]
        assert asked["user_id"].to_list() == splits.users_of(name).tolist()
        cuts = splits.users.filter(slice=name).select("user_id", "cut").rows()
        assert sorted(asked.rows()) == sorted(cuts)
        known = known_ratings(ratings, splits, name).join(asked, on="user_id")
        assert (known["timestamp"] < known["requested_at"]).all()
        targets = splits.targets.filter(slice=name).join(asked, on="user_id")
        assert (targets["timestamp"] >= targets["requested_at"]).all()


def test_a_rating_in_the_second_of_the_cut_off_is_not_fitted_on() -> None:
    rows = [*BY_HAND, (5, 9, 5.0, 6)]
    splits = make_splits(ratings_of(rows), QUARTERS)
    assert splits.fit_end(VALIDATION) == T0 + 6
    assert 9 not in fit_ratings(ratings_of(rows), splits, VALIDATION)["item_id"].to_list()


def test_no_model_sees_a_target_of_its_slice(ratings: pl.DataFrame, splits: Splits) -> None:
    for name in splits.names:
        targets = splits.targets.filter(slice=name)
        seen = pl.concat([fit_ratings(ratings, splits, name), known_ratings(ratings, splits, name)])
        assert targets.height > 0
        assert seen.join(targets, on=["user_id", "item_id"], how="semi").is_empty()


def test_models_of_an_exam_see_nothing_of_its_period(ratings: pl.DataFrame, splits: Splits) -> None:
    for name in EXAMS:
        wanted = splits.targets.filter(slice=name)["timestamp"].to_numpy()
        assert fit_ratings(ratings, splits, name)["timestamp"].to_numpy().max() < wanted.min()


def test_what_may_be_seen_keeps_the_order_of_the_rows(ratings: pl.DataFrame, splits: Splits) -> None:
    mixed = shuffled(ratings).with_row_index()
    for name in splits.names:
        assert fit_ratings(mixed, splits, name)["index"].is_sorted()
        assert known_ratings(mixed, splits, name)["index"].is_sorted()


# ---- on disk ----


def test_slices_survive_the_disk(splits: Splits, tmp_path: Path) -> None:
    splits.save(tmp_path)
    back = Splits.load(tmp_path, with_test_targets=True)
    for table in TABLES:
        ordered = getattr(splits, table), getattr(back, table)
        assert ordered[0].sort(pl.all()).equals(ordered[1].sort(pl.all())), table


def test_the_tests_targets_are_read_only_when_asked_for(splits: Splits, tmp_path: Path) -> None:
    """Tuning runs without them: here the file is even gone."""
    splits.save(tmp_path)
    (tmp_path / "test_targets.parquet").unlink()
    loaded = Splits.load(tmp_path)
    assert TEST not in loaded.targets["slice"].to_list()
    assert loaded.targets.equals(splits.targets.filter(pl.col("slice") != TEST))
    assert loaded.users_of(TEST).tolist() == splits.users_of(TEST).tolist()


# ---- targets as sets ----


def test_targets_come_in_the_order_of_the_users_asked() -> None:
    targets = ratings_of([(3, 9, 5.0, 0), (1, 7, 5.0, 1), (3, 2, 5.0, 2), (8, 4, 5.0, 3)])
    found = relevant_items(targets, np.array([1, 2, 3]))
    assert found.offsets.tolist() == [0, 1, 1, 3]
    assert found.items.tolist() == [7, 2, 9], "user 8 was not asked about"


@pytest.mark.parametrize("user_ids", [[], [5, 6]])
def test_users_without_targets_have_empty_sets(user_ids: list[int]) -> None:
    found = relevant_items(ratings_of([(1, 1, 5.0, 0)]), np.array(user_ids, dtype=np.int64))
    assert found.counts.tolist() == [0] * len(user_ids)
    assert len(found.items) == 0
