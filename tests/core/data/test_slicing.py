"""From ratings to slices: who is asked when, what is known then, and what is held out for the ranker."""

import math

import polars as pl
import pytest

from recsys_core.data.config import HoldoutsConfig, SplitsConfig
from recsys_core.data.slicing import hold_out, make_splits
from recsys_core.data.splits import EXAMS, TEST, VALIDATION, Splits, fit_ratings, known_ratings
from recsys_core.errors import DataError
from tests import tiny_world
from tests.core.data.slices_by_hand import BY_HAND, QUARTERS, TABLES
from tests.core.tables_by_hand import T0, ratings_of, shuffled

THIRD = HoldoutsConfig(holdout_share=0.3, n_holdouts=1, holdout_likes=3)


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return tiny_world.ratings()


@pytest.fixture(scope="module")
def splits(ratings: pl.DataFrame) -> Splits:
    return make_splits(ratings, SplitsConfig())


def rows_of(table: pl.DataFrame, name: str) -> list[tuple[int, int]]:
    return table.filter(slice=name).select("user_id", "item_id").rows()


def assert_same(one: Splits, other: Splits, names: list[str]) -> None:
    for table in TABLES:
        kept, also = (getattr(splits, table).filter(pl.col("slice").is_in(names)) for splits in (one, other))
        assert kept.equals(also), table


# ---- exams ----


def test_exams_by_hand() -> None:
    ratings = ratings_of(BY_HAND)
    splits = make_splits(ratings, QUARTERS)
    exams = splits.cutoffs.filter(pl.col("slice").is_in(EXAMS))
    assert exams.rows() == [(VALIDATION, T0 + 6, T0 + 9), (TEST, T0 + 9, T0 + 12)]
    assert splits.users.filter(slice=VALIDATION).rows() == [(VALIDATION, 2, T0 + 7)]
    assert splits.users.filter(slice=TEST).rows() == [(TEST, 3, T0 + 9)]
    assert rows_of(splits.targets, VALIDATION) == [(2, 3), (2, 4)]
    assert rows_of(splits.targets, TEST) == [(3, 2)]


def test_ratings_in_the_second_of_the_first_target_are_targets_and_not_known() -> None:
    """Five ratings, of which the middle one shares its second with the one before."""
    late = [(1, 5, 5.0, 20), (1, 6, 5.0, 21), (1, 7, 5.0, 21), (1, 8, 1.0, 21), (1, 9, 4.0, 22)]
    ratings = ratings_of([(user, 1, 5.0, user) for user in range(1, 13)] + late)
    splits = make_splits(ratings, SplitsConfig(test_share=0.3, validation_share=0.2))
    assert known_ratings(ratings, splits, TEST)["item_id"].to_list() == [1, 5]
    assert rows_of(splits.targets, TEST) == [(1, 6), (1, 7), (1, 9)]


def test_a_session_within_one_second_is_all_target_and_starts_from_the_past() -> None:
    late = [(user, 20 + item, 5.0, 20) for user in (1, 99) for item in range(3)]
    ratings = ratings_of([(user, 1, 5.0, user) for user in range(1, 15)] + late)
    splits = make_splits(ratings, SplitsConfig(test_share=0.3, validation_share=0.2))
    assert splits.users_of(TEST).tolist() == [1], "of user 99 nothing is known before that second"
    assert splits.targets.filter(slice=TEST).height == 3
    assert known_ratings(ratings, splits, TEST)["item_id"].to_list() == [1]


@pytest.mark.parametrize("seed", range(3))
def test_exams_agree_with_the_slow_loop(seed: int) -> None:
    ratings = tiny_world.ratings(seed)
    splits = make_splits(shuffled(ratings), SplitsConfig())
    for name in EXAMS:
        _, start, end = splits.cutoffs.filter(slice=name).row(0)
        known, targets = [], []
        for user_id in sorted(set(ratings["user_id"].to_list())):
            own = sorted(ratings.filter(user_id=user_id).rows(), key=lambda row: (row[3], row[1]))
            active = [row for row in own if start <= row[3] < end]
            middle = active[len(active) // 2][3] if active else 0
            before = [row for row in own if row[3] < middle]
            wanted = [row for row in active if row[3] >= middle and row[2] >= 4]
            if wanted and before:
                known += before
                targets += [(name, *row) for row in wanted]
        assert known_ratings(ratings, splits, name).sort("user_id", "timestamp", "item_id").rows() == known
        assert splits.targets.filter(slice=name).rows() == targets
        assert splits.users.filter(slice=name).select("slice", "user_id").rows() == sorted({row[:2] for row in targets})


def test_exams_lie_in_order_and_touch(ratings: pl.DataFrame, splits: Splits) -> None:
    validation, test = (splits.cutoffs.filter(slice=name).row(0, named=True) for name in EXAMS)
    assert ratings["timestamp"].min() < validation["fit_end"] < validation["until"] == test["fit_end"] < test["until"]
    assert test["until"] == ratings["timestamp"].max() + 1


def test_shares_are_those_of_the_settings(ratings: pl.DataFrame, splits: Splits) -> None:
    for name, share in ((TEST, 0.9), (VALIDATION, 0.8)):
        assert fit_ratings(ratings, splits, name).height / ratings.height == pytest.approx(share, abs=0.02)


def test_users_new_since_the_fit_are_asked_too(ratings: pl.DataFrame, splits: Splits) -> None:
    fitted = set(fit_ratings(ratings, splits, TEST)["user_id"].to_list())
    new = set(splits.users_of(TEST).tolist()) - fitted
    assert new
    assert new <= set(known_ratings(ratings, splits, TEST)["user_id"].to_list())


# ---- hold-outs ----


def test_a_holdout_by_hand() -> None:
    """Four likes, of which 30 % are two (rounded up); the dislike among them is neither known nor a target."""
    rows = [(7, 1, 5.0, 0), (7, 2, 4.0, 1), (7, 3, 5.0, 2), (7, 4, 1.0, 3), (7, 5, 4.5, 4), (8, 1, 5.0, 3)]
    ratings = ratings_of(rows)
    made = hold_out(ratings, TEST, T0 + 5, THIRD)
    assert made.cutoffs.rows() == [("test_holdout_30", T0 + 5, T0 + 5)]
    assert made.users.rows() == [("test_holdout_30", 7, T0 + 2)]
    assert rows_of(made.targets, "test_holdout_30") == [(7, 3), (7, 5)]
    assert known_ratings(ratings, made, "test_holdout_30")["item_id"].to_list() == [1, 2]
    fitted = fit_ratings(ratings, made, "test_holdout_30").select("user_id", "item_id").rows()
    assert fitted == [(7, 1), (7, 2), (8, 1)], "of user 8 nothing is held out"


def test_a_second_is_never_parted_by_a_holdout() -> None:
    ratings = ratings_of([(7, 1, 5.0, 0), (7, 2, 4.0, 1), (7, 3, 5.0, 1), (7, 4, 5.0, 1)])
    made = hold_out(ratings, TEST, T0 + 9, THIRD)
    assert rows_of(made.targets, "test_holdout_30") == [(7, 2), (7, 3), (7, 4)]
    at_once = ratings_of([(7, item, 5.0, 0) for item in range(5)])
    assert hold_out(at_once, TEST, T0 + 9, THIRD).users.is_empty(), "nothing would be known of the user"


def test_too_few_likes_are_not_held_out() -> None:
    ratings = ratings_of([(7, item, 4.0 if item < 3 else 2.0, item) for item in range(9)])
    assert hold_out(ratings, TEST, T0 + 99, THIRD).users.height == 1
    assert hold_out(ratings, TEST, T0 + 99, THIRD.model_copy(update={"holdout_likes": 4})).users.is_empty()


@pytest.mark.parametrize("exam", EXAMS)
def test_holdouts_agree_with_the_slow_loop(ratings: pl.DataFrame, splits: Splits, exam: str) -> None:
    fit_end = splits.fit_end(exam)
    assert splits.holdouts(exam) == [f"{exam}_holdout_45", f"{exam}_holdout_30", f"{exam}_holdout_15"]
    for name, share in zip(splits.holdouts(exam), (0.45, 0.3, 0.15), strict=True):
        targets, fitted = [], []
        for user_id in sorted(set(ratings["user_id"].to_list())):
            own = sorted(ratings.filter(user_id=user_id).rows(), key=lambda row: (row[3], row[1]))
            own = [row for row in own if row[3] < fit_end]
            likes = [row for row in own if row[2] >= 4]
            cut = likes[-math.ceil(len(likes) * share)][3] if len(likes) >= 5 else fit_end
            known = [row for row in own if row[3] < cut]
            fitted += known if known else own
            targets += [(name, *row) for row in likes if row[3] >= cut and known]
        assert splits.targets.filter(slice=name).rows() == targets
        assert fit_ratings(ratings, splits, name).sort("user_id", "timestamp", "item_id").rows() == fitted


def test_nothing_of_an_exam_is_in_its_holdouts(ratings: pl.DataFrame, splits: Splits) -> None:
    for exam in EXAMS:
        past = ratings.filter(pl.col("timestamp") < splits.fit_end(exam))
        assert_same(hold_out(past, exam, splits.fit_end(exam), SplitsConfig()), splits, splits.holdouts(exam))


# ---- all slices ----


def test_every_target_is_a_like_of_a_user_who_is_asked(ratings: pl.DataFrame, splits: Splits) -> None:
    assert (splits.targets["rating"] >= 4).all()
    assert set(splits.targets.select("slice", "user_id").rows()) == set(splits.users.select("slice", "user_id").rows())
    assert not splits.targets.select("slice", "user_id", "item_id").is_duplicated().any()
    assert splits.targets.drop("slice").join(ratings, on=ratings.columns, how="anti").is_empty()


def test_the_order_of_the_rows_changes_nothing(ratings: pl.DataFrame, splits: Splits) -> None:
    assert_same(splits, make_splits(shuffled(ratings), SplitsConfig()), splits.names)


def test_the_validation_does_not_see_what_happens_after_it(ratings: pl.DataFrame, splits: Splits) -> None:
    """Only the seconds of later ratings stay, which the quantiles need; users, items and stars are all others."""
    until = splits.fit_end(TEST)
    other = tiny_world.ratings(seed=1).with_columns(user_id=pl.col("user_id") + 1, timestamp=0)
    later = ratings.filter(pl.col("timestamp") >= until)
    swapped = other.head(later.height).with_columns(timestamp=later["timestamp"])
    changed = pl.concat([ratings.filter(pl.col("timestamp") < until), swapped])
    replayed = make_splits(changed, SplitsConfig())
    names = splits.names[: splits.names.index(TEST)]
    assert names == [*splits.holdouts(VALIDATION), VALIDATION, *splits.holdouts(TEST)]
    assert_same(splits, replayed, names)
    for name in names:
        assert known_ratings(changed, replayed, name).equals(known_ratings(ratings, splits, name))
        assert fit_ratings(changed, replayed, name).equals(fit_ratings(ratings, splits, name))
    assert not replayed.targets.equals(splits.targets)


# ---- refusals ----


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_ratings_are_refused(n: int) -> None:
    with pytest.raises(DataError, match=f"{n} ratings cannot be cut into a past, a validation and a test period"):
        make_splits(ratings_of(BY_HAND[:n]), SplitsConfig())


def test_ratings_of_one_second_are_refused() -> None:
    with pytest.raises(DataError, match="too many in one second"):
        make_splits(ratings_of([(user, 1, 5.0, 0) for user in range(40)]), QUARTERS)


def test_a_validation_without_a_past_is_refused() -> None:
    rows = [(user, 1, 5.0, max(0, user - 20)) for user in range(40)]
    with pytest.raises(DataError, match="cannot be cut"):
        make_splits(ratings_of(rows), QUARTERS)
