"""Time cut-offs: who is asked when, what is known then, and that nothing later is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.data.config import SplitsConfig
from recsys_core.data.splits import (
    TEST,
    VALIDATION,
    Splits,
    fit_ratings,
    leaks,
    make_splits,
    relevant_items,
    slice_contexts,
)
from recsys_core.errors import DataError
from tests import tiny_world
from tests.core import embedded
from tests.core.tables_by_hand import T0, random_ratings, ratings_of, shuffled

QUARTERS = SplitsConfig(test_share=0.25, validation_share=0.25, training_slice_share=0.25, n_training_slices=1)
BY_HAND = (
    (1, 1, 5.0, 0), (2, 2, 5.0, 1), (1, 3, 2.0, 2),  # before all slices
    (1, 2, 4.0, 3), (1, 4, 5.0, 4), (3, 1, 5.0, 5),  # train_1: of user 3 nothing is known, so nothing can be asked
    (2, 1, 3.0, 6), (2, 3, 4.0, 7), (2, 4, 5.0, 8),  # validation
    (3, 2, 4.0, 9), (4, 1, 5.0, 10), (4, 2, 2.0, 11),  # test: user 3 starts from the past; user 4 likes nothing
)  # fmt: skip
TABLES = ("cutoffs", "users", "contexts", "targets")


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return tiny_world.ratings()


@pytest.fixture(scope="module")
def splits(ratings: pl.DataFrame) -> Splits:
    return make_splits(ratings, SplitsConfig())


def rows_of(table: pl.DataFrame) -> list[tuple[str, int, int]]:
    return table.select("slice", "user_id", "item_id").rows()


def assert_same(one: Splits, other: Splits, *, up_to: str | None = None) -> None:
    names = one.names[: one.names.index(up_to) + 1] if up_to else one.names
    for table in TABLES:
        kept, also = (getattr(splits, table).filter(pl.col("slice").is_in(names)) for splits in (one, other))
        assert kept.equals(also), table


def test_slices_by_hand() -> None:
    splits = make_splits(ratings_of(BY_HAND), QUARTERS)
    assert splits.cutoffs.rows() == [("train_1", T0 + 3, T0 + 6), (VALIDATION, T0 + 6, T0 + 9), (TEST, T0 + 9, T0 + 12)]
    assert rows_of(splits.contexts) == [("train_1", 1, 2), (VALIDATION, 2, 1)]
    assert rows_of(splits.targets) == [("train_1", 1, 4), (VALIDATION, 2, 3), (VALIDATION, 2, 4), (TEST, 3, 2)]
    assert splits.names == ["train_1", VALIDATION, TEST]
    assert [splits.users_of(name).tolist() for name in splits.names] == [[1], [2], [3]]


def test_what_is_known_by_hand() -> None:
    ratings = ratings_of(BY_HAND)
    splits = make_splits(ratings, QUARTERS)
    assert fit_ratings(ratings, splits, VALIDATION).height == 6
    assert slice_contexts(ratings, splits, VALIDATION).select("user_id", "item_id").rows() == [(2, 2), (2, 1)]
    assert slice_contexts(ratings, splits, TEST).select("user_id", "item_id").rows() == [(3, 1)]


def test_a_rating_in_the_second_of_the_cut_off_is_not_fitted_on() -> None:
    rows = [*BY_HAND, (5, 9, 5.0, 6)]
    splits = make_splits(ratings_of(rows), QUARTERS)
    assert splits.fit_end(VALIDATION) == T0 + 6
    assert 9 not in fit_ratings(ratings_of(rows), splits, VALIDATION)["item_id"].to_list()


def test_ratings_in_the_second_of_the_first_target_are_targets_not_context() -> None:
    """Five ratings, of which the middle one shares its second with the one before."""
    late = [(1, 5, 5.0, 20), (1, 6, 5.0, 21), (1, 7, 5.0, 21), (1, 8, 1.0, 21), (1, 9, 4.0, 22)]
    early = [(user, 1, 5.0, user) for user in range(1, 13)]
    config = SplitsConfig(test_share=0.3, validation_share=0.2, training_slice_share=0.2, n_training_slices=1)
    splits = make_splits(ratings_of(early + late), config)
    assert rows_of(splits.contexts.filter(slice=TEST)) == [(TEST, 1, 5)]
    assert rows_of(splits.targets.filter(slice=TEST)) == [(TEST, 1, 6), (TEST, 1, 7), (TEST, 1, 9)]


def test_a_session_within_one_second_is_all_target_and_starts_from_the_past() -> None:
    late = [(user, 20 + item, 5.0, 20) for user in (1, 99) for item in range(3)]
    early = [(user, 1, 5.0, user) for user in range(1, 15)]
    config = SplitsConfig(test_share=0.3, validation_share=0.2, training_slice_share=0.2, n_training_slices=1)
    splits = make_splits(ratings_of(early + late), config)
    assert splits.users_of(TEST).tolist() == [1], "of user 99 nothing is known before that second"
    assert splits.targets.filter(slice=TEST).height == 3
    assert splits.contexts.filter(slice=TEST).is_empty()


@pytest.mark.parametrize("seed", range(3))
def test_slices_agree_with_the_slow_loop(seed: int) -> None:
    ratings = tiny_world.ratings(seed)
    splits = make_splits(shuffled(ratings), SplitsConfig())
    contexts, targets = [], []
    for name, start, end in splits.cutoffs.iter_rows():
        for user_id in sorted(set(ratings["user_id"].to_list())):
            own = sorted(ratings.filter(user_id=user_id).rows(), key=lambda row: (row[3], row[1]))
            active = [row for row in own if start <= row[3] < end]
            middle = active[len(active) // 2][3] if active else 0
            fresh = [row for row in active if row[3] < middle]
            wanted = [row for row in active if row[3] >= middle and row[2] >= 4]
            if wanted and (fresh or own[0][3] < start):
                contexts += [(name, *row) for row in fresh]
                targets += [(name, *row) for row in wanted]
    assert splits.contexts.rows() == contexts
    assert splits.targets.rows() == targets
    assert set(splits.users.rows()) == {row[:2] for row in targets}


def test_slices_lie_in_order_and_touch(ratings: pl.DataFrame, splits: Splits) -> None:
    starts, ends = splits.cutoffs["fit_end"].to_list(), splits.cutoffs["until"].to_list()
    assert ends[:-1] == starts[1:]
    assert starts == sorted(set(starts))
    assert starts[0] > ratings["timestamp"].min()
    assert ends[-1] == ratings["timestamp"].max() + 1


def test_shares_are_those_of_the_settings(ratings: pl.DataFrame, splits: Splits) -> None:
    for name, share in ((TEST, 0.9), (VALIDATION, 0.8), ("train_4", 0.7), ("train_1", 0.4)):
        assert fit_ratings(ratings, splits, name).height / ratings.height == pytest.approx(share, abs=0.02)


def test_training_validation_and_test_follow_each_other_in_time(ratings: pl.DataFrame, splits: Splits) -> None:
    for name in splits.names:
        shown = pl.concat([splits.contexts, splits.targets]).filter(slice=name)["timestamp"]
        assert fit_ratings(ratings, splits, name)["timestamp"].max() < shown.min()


def test_every_target_is_a_like_of_an_evaluated_user(ratings: pl.DataFrame, splits: Splits) -> None:
    assert (splits.targets["rating"] >= 4).all()
    assert set(splits.targets.select("slice", "user_id").rows()) == set(splits.users.rows())
    assert not splits.targets.select("slice", "user_id", "item_id").is_duplicated().any()
    assert splits.targets.drop("slice").join(ratings, on=ratings.columns, how="anti").is_empty()


def test_users_new_since_the_fit_are_evaluated_too(ratings: pl.DataFrame, splits: Splits) -> None:
    known = fit_ratings(ratings, splits, TEST)["user_id"].unique()
    new = set(splits.users_of(TEST).tolist()) - set(known.to_list())
    assert new
    assert new <= set(splits.contexts.filter(slice=TEST)["user_id"].to_list())


def test_the_order_of_the_rows_changes_nothing(ratings: pl.DataFrame, splits: Splits) -> None:
    assert_same(splits, make_splits(shuffled(ratings), SplitsConfig()))


@pytest.mark.parametrize("name", ["train_1", "train_4", VALIDATION])
def test_a_slice_does_not_see_what_happens_after_it(ratings: pl.DataFrame, splits: Splits, name: str) -> None:
    """Only the seconds of later ratings stay, which the quantiles need; users, items and stars are all others."""
    until = splits.cutoffs.filter(slice=name)["until"].item()
    other = tiny_world.ratings(seed=1).with_columns(user_id=pl.col("user_id") + 1, timestamp=0)
    later = ratings.filter(pl.col("timestamp") >= until)
    swapped = other.head(later.height).with_columns(timestamp=later["timestamp"])
    changed = pl.concat([ratings.filter(pl.col("timestamp") < until), swapped])
    replayed = make_splits(changed, SplitsConfig())
    assert_same(splits, replayed, up_to=name)
    assert slice_contexts(changed, replayed, name).equals(slice_contexts(ratings, splits, name))
    assert not replayed.targets.equals(splits.targets)


# ---- leaks ----


@pytest.mark.parametrize("seed", range(5))
def test_nothing_leaks_in_the_tiny_world(seed: int) -> None:
    ratings = tiny_world.ratings(seed)
    assert leaks(ratings, make_splits(ratings, SplitsConfig())) == []


def test_nothing_leaks_in_the_embedded_data() -> None:
    splits = make_splits(embedded.ratings(), SplitsConfig())
    assert leaks(embedded.ratings(), splits) == []
    assert splits.users.group_by("slice").len()["len"].min() >= 50


@given(st.integers(0, 10_000), st.integers(8, 96), st.integers(3, 60))
@settings(max_examples=80, deadline=None)
def test_whatever_the_ratings_the_slices_are_clean_or_refused(seed: int, n: int, n_seconds: int) -> None:
    ratings = random_ratings(seed, n, n_seconds=n_seconds)
    try:
        splits = make_splits(ratings, QUARTERS)
    except DataError:
        return
    assert leaks(ratings, splits) == []


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_a_random_split_is_seen(seed: int) -> None:
    """Each slice keeps its users and its number of rows, but draws its likes from their whole lives."""
    ratings = tiny_world.ratings()
    splits = make_splits(ratings, SplitsConfig())
    drawn = []
    for name in splits.names:
        own = ratings.join(splits.users.filter(slice=name), on="user_id", how="semi").filter(pl.col("rating") >= 4)
        drawn.append(own.sample(fraction=0.2, seed=seed).select(pl.lit(name).alias("slice"), pl.all()))
    assert len(leaks(ratings, replace(splits, targets=pl.concat(drawn)))) >= len(splits.names)


def test_a_split_per_user_is_seen(ratings: pl.DataFrame, splits: Splits) -> None:
    """The last likes of each user, whenever that was: popular in the literature, and a leak of the others' future."""
    last = ratings.filter(pl.col("rating") >= 4).sort("timestamp", "item_id").group_by("user_id").tail(2)
    targets = last.select(pl.lit(TEST).alias("slice"), pl.all())
    injected = replace(splits, targets=targets, users=targets.select("slice", "user_id").unique())
    assert any("before the cut-off" in leak for leak in leaks(ratings, injected))


def moved(splits: Splits, table: str, name: str, **columns: pl.Expr) -> Splits:
    """One row of a slice's table changed."""
    rows = getattr(splits, table)
    first = rows.with_row_index().filter(slice=name)["index"][0]
    at = pl.int_range(pl.len()) == first
    changed = [pl.when(at).then(value).otherwise(column).alias(column) for column, value in columns.items()]
    return replace(splits, **{table: rows.with_columns(changed)})


def overlapping(splits: Splits) -> Splits:
    return replace(splits, cutoffs=splits.cutoffs.with_columns(until=pl.col("until") + 1))


def ending_early(splits: Splits) -> Splits:
    is_test = pl.col("slice") == TEST
    return replace(
        splits, cutoffs=splits.cutoffs.with_columns(until=pl.when(is_test).then("fit_end").otherwise("until"))
    )


def target_before(splits: Splits) -> Splits:
    return moved(splits, "targets", VALIDATION, timestamp=pl.lit(splits.fit_end(VALIDATION) - 1))


def target_after(splits: Splits) -> Splits:
    """The ranker would learn from a label of the test period."""
    return moved(splits, "targets", "train_1", timestamp=pl.lit(splits.fit_end(TEST)))


def context_after(splits: Splits) -> Splits:
    return moved(splits, "contexts", VALIDATION, timestamp=pl.lit(splits.fit_end(TEST)))


def target_in_context(splits: Splits) -> Splits:
    target = splits.targets.filter(slice=TEST).row(0, named=True)
    copy = {"user_id": pl.lit(target["user_id"]), "item_id": pl.lit(target["item_id"])}
    return moved(splits, "contexts", TEST, **copy)


def context_in_the_targets_second(splits: Splits) -> Splits:
    target = splits.targets.filter(slice=TEST).sort("timestamp").group_by("user_id", maintain_order=True).first()
    user_id, at = target.row(0, named=True)["user_id"], target.row(0, named=True)["timestamp"]
    return moved(splits, "contexts", TEST, user_id=pl.lit(user_id), timestamp=pl.lit(at))


@pytest.mark.parametrize(
    ("inject", "sentence"),
    [
        (overlapping, "train_1 ends at .* but train_2 begins"),
        (ending_early, "test ends before it begins"),
        (target_before, "validation: a target lies before the cut-off"),
        (target_after, "train_1: a target lies after the end of the slice"),
        (context_after, "validation: a context rating lies after the end"),
        (target_in_context, "test: a target stands in its own user's context"),
        (context_in_the_targets_second, "test: a context rating is as late as the targets"),
    ],
)
def test_every_kind_of_leak_is_named(
    ratings: pl.DataFrame, splits: Splits, inject: Callable[[Splits], Splits], sentence: str
) -> None:
    found = pl.Series(leaks(ratings, inject(splits)), dtype=pl.String)
    assert found.str.contains(sentence).any(), found.to_list()


def test_the_seen_rating_of_a_target_is_a_leak_even_from_before_the_cut_off(
    ratings: pl.DataFrame, splits: Splits
) -> None:
    user_id = splits.users_of(TEST)[0]
    past = fit_ratings(ratings, splits, TEST).filter(user_id=user_id)
    if past.is_empty():
        past = splits.contexts.filter(slice=TEST, user_id=user_id)
    injected = moved(splits, "targets", TEST, user_id=pl.lit(user_id), item_id=pl.lit(past["item_id"][0]))
    assert any("own user's context" in leak for leak in leaks(ratings, injected))


# ---- on disk ----


def test_slices_survive_the_disk(splits: Splits, tmp_path: Path) -> None:
    splits.save(tmp_path)
    assert_same(splits, Splits.load(tmp_path, with_test_targets=True))


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


# ---- refusals ----


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_ratings_are_refused(n: int) -> None:
    with pytest.raises(DataError, match=f"{n} ratings cannot be cut into 6 slices"):
        make_splits(ratings_of(BY_HAND[:n]), SplitsConfig())


def test_ratings_of_one_second_are_refused() -> None:
    with pytest.raises(DataError, match="too many in one second"):
        make_splits(ratings_of([(user, 1, 5.0, 0) for user in range(40)]), QUARTERS)


def test_a_first_slice_without_a_past_is_refused() -> None:
    rows = [(user, 1, 5.0, max(0, user - 20)) for user in range(40)]
    with pytest.raises(DataError, match="cannot be cut"):
        make_splits(ratings_of(rows), QUARTERS)


def test_slices_that_need_more_than_everything_are_refused(ratings: pl.DataFrame) -> None:
    config = SplitsConfig(test_share=0.4, validation_share=0.4, training_slice_share=0.1, n_training_slices=2)
    with pytest.raises(DataError, match="more than all ratings: lower n_training_slices"):
        make_splits(ratings, config)
