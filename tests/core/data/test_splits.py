"""What a slice lets models see, what it lets be known of a user, and its way through the disk."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.config import SplitsConfig
from recsys_core.data.slicing import make_splits
from recsys_core.data.splits import NOW, TEST, Splits, fit_ratings, known_ratings, relevant_items
from tests import tiny_world
from tests.core.data.slices_by_hand import BY_HAND, FIFTHS, TABLES
from tests.core.tables_by_hand import T0, every_rating_of, ratings_of, shuffled


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return tiny_world.ratings()


@pytest.fixture(scope="module")
def splits(ratings: pl.DataFrame) -> Splits:
    return make_splits(ratings, SplitsConfig())


def test_what_may_be_fitted_and_what_is_known_by_hand() -> None:
    ratings = every_rating_of(BY_HAND)
    splits = make_splits(ratings, FIFTHS)
    assert [fit_ratings(ratings, splits, name).height for name in splits.names] == [4, 6, 8, 10, 11, 13, 14, 15, 16]
    assert known_ratings(ratings, splits, "window_1_2").select("user_id", "item_id").rows() == [(2, 2), (2, 1)]
    of_user_3 = known_ratings(ratings, splits, "test_1").select("item_id", "rating").rows()
    assert of_user_3 == [(1, 5.0), (2, 4.0), (4, 4.0), (3, 5.0)], "the later of two ratings, in its place"


def test_of_a_rating_that_was_replaced_the_past_knows_the_old_value() -> None:
    """User 2 rates item 2 with 5 stars in second 1, with 4.5 in second 11; user 3 item 3 with 1 star, then with 5."""
    ratings = every_rating_of(BY_HAND)
    splits = make_splits(ratings, FIFTHS)

    def stars(name: str, user_id: int, item_id: int) -> list[float]:
        own = fit_ratings(ratings, splits, name).filter(user_id=user_id, item_id=item_id)
        return own["rating"].to_list()

    assert [stars(name, 2, 2) for name in ("window_2_2", "window_3_1", NOW)] == [[5.0], [4.5], [4.5]]
    assert [stars(name, 3, 3) for name in ("window_2_1", "window_3_1", "test_1", NOW)] == [[], [1.0], [1.0], [5.0]]
    assert known_ratings(ratings, splits, "window_1_2").filter(item_id=2)["rating"].to_list() == [5.0]


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
    ratings = every_rating_of(BY_HAND)
    splits = make_splits(ratings, FIFTHS)
    for name in splits.names[:-1]:
        fitted, fit_end = fit_ratings(ratings, splits, name)["timestamp"].to_list(), splits.fit_end(name)
        assert fit_end in ratings["timestamp"].to_list()
        assert max(fitted) == fit_end - 1


def test_no_model_sees_a_target_of_its_slice(ratings: pl.DataFrame, splits: Splits) -> None:
    for name in splits.asking:
        targets = splits.targets.filter(slice=name)
        seen = pl.concat([fit_ratings(ratings, splits, name), known_ratings(ratings, splits, name)])
        assert targets.height > 0
        assert seen.join(targets, on=["user_id", "item_id"], how="semi").is_empty()


def test_models_of_a_slice_see_nothing_of_its_step_or_of_later_ones(ratings: pl.DataFrame, splits: Splits) -> None:
    for name in splits.asking:
        asked = splits.requests(name)["requested_at"].to_numpy()
        assert fit_ratings(ratings, splits, name)["timestamp"].to_numpy().max() < splits.fit_end(name) <= asked.min()


def test_a_slice_may_see_all_that_the_slice_before_it_may_see(ratings: pl.DataFrame, splits: Splits) -> None:
    for earlier, later in pairwise(splits.names):
        seen, also = (fit_ratings(ratings, splits, name) for name in (earlier, later))
        assert seen.height < also.height
        assert seen.join(also, on=ratings.columns, how="anti").is_empty()


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
    of_test = splits.slices_of(TEST)
    assert loaded.targets.equals(splits.targets.filter(~pl.col("slice").is_in(of_test)))
    assert loaded.targets.height < splits.targets.height
    assert [loaded.users_of(name).tolist() for name in of_test] == [splits.users_of(name).tolist() for name in of_test]


# ---- the chain as a whole ----


def test_a_chain_names_its_windows_and_their_seconds_by_hand() -> None:
    splits = make_splits(every_rating_of(BY_HAND), FIFTHS)
    assert (splits.exams, splits.development) == (["window_2", "window_3", TEST], ["window_2"])
    assert splits.slices_of("window_3") == ["window_3_1", "window_3_2"]
    assert splits.asking == ["window_1_1", "window_1_2", "window_2_1", "window_3_2", "test_1"]
    assert (splits.window_of("window_3_2"), splits.window_of(NOW)) == ("window_3", NOW)
    assert (splits.start_of("window_3"), splits.fit_end("window_3_2"), splits.until("window_3_2")) == (
        T0 + 12,
        T0 + 14,
        T0 + 16,
    )
    assert splits.last_until == T0 + 20


def test_a_chain_without_a_slice_lacks_that_slice_alone(splits: Splits) -> None:
    gone = splits.asking[3]
    left = splits.without(gone)
    assert left.names == [name for name in splits.names if name != gone]
    assert left.asking == [name for name in splits.asking if name != gone]
    assert gone not in left.targets["slice"]


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
