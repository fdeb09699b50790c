"""Every way to break the order of time must be named."""

from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.data.config import SplitsConfig
from recsys_core.data.leaks import leaks
from recsys_core.data.slicing import make_splits
from recsys_core.data.splits import EXAMS, TEST, VALIDATION, Splits, known_ratings
from recsys_core.errors import DataError
from tests import tiny_world
from tests.core import embedded
from tests.core.data.slices_by_hand import QUARTERS
from tests.core.tables_by_hand import random_ratings

HOLDOUT = "test_holdout_15"


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return tiny_world.ratings()


@pytest.fixture(scope="module")
def splits(ratings: pl.DataFrame) -> Splits:
    return make_splits(ratings, SplitsConfig())


@pytest.mark.parametrize("seed", range(5))
def test_nothing_leaks_in_the_tiny_world(seed: int) -> None:
    ratings = tiny_world.ratings(seed)
    assert leaks(ratings, make_splits(ratings, SplitsConfig())) == []


def test_nothing_leaks_in_the_embedded_data() -> None:
    splits = make_splits(embedded.ratings(), SplitsConfig())
    assert leaks(embedded.ratings(), splits) == []
    assert splits.users.group_by("slice").len()["len"].min() >= 50


@given(st.integers(0, 10_000), st.integers(8, 96), st.integers(3, 60))
@settings(max_examples=80)
def test_whatever_the_ratings_the_slices_are_clean_or_refused(seed: int, n: int, n_seconds: int) -> None:
    ratings = random_ratings(seed, n, n_seconds=n_seconds)
    try:
        splits = make_splits(ratings, QUARTERS)
    except DataError:
        return
    assert leaks(ratings, splits) == []


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_a_random_split_is_seen(seed: int) -> None:
    """Each slice keeps its users and its number of rows, but draws its likes from their whole lives."""
    ratings = tiny_world.ratings()
    splits = make_splits(ratings, SplitsConfig())
    drawn = []
    for name in splits.names:
        own = ratings.join(splits.users.filter(slice=name), on="user_id", how="semi").filter(pl.col("rating") >= 4)
        drawn.append(own.sample(fraction=0.2, seed=seed).select(pl.lit(name).alias("slice"), pl.all()))
    found = leaks(ratings, replace(splits, targets=pl.concat(drawn)))
    assert {leak.split(":")[0] for leak in found} == set(splits.names)


def test_an_exam_cut_per_user_is_seen(ratings: pl.DataFrame, splits: Splits) -> None:
    """The last likes of each user, whenever that was: popular in the literature, and a leak of the others' future."""
    last = ratings.filter(pl.col("rating") >= 4).sort("timestamp", "item_id").group_by("user_id").tail(2)
    targets = last.select(pl.lit(TEST).alias("slice"), pl.all())
    users = targets.group_by("slice", "user_id").agg(cut=pl.col("timestamp").min())
    others = splits.targets.filter(pl.col("slice") != TEST), splits.users.filter(pl.col("slice") != TEST)
    injected = replace(splits, targets=pl.concat([others[0], targets]), users=pl.concat([others[1], users]))
    assert any("test: a user's cut lies before the cut-off" in leak for leak in leaks(ratings, injected))


def moved(splits: Splits, table: str, name: str, **columns: pl.Expr) -> Splits:
    """One row of a slice's table changed."""
    rows = getattr(splits, table)
    first = rows.with_row_index().filter(slice=name)["index"][0]
    at = pl.int_range(pl.len()) == first
    changed = [pl.when(at).then(value).otherwise(column).alias(column) for column, value in columns.items()]
    return replace(splits, **{table: rows.with_columns(changed)})


def period(splits: Splits, name: str, **columns: pl.Expr) -> Splits:
    is_it = pl.col("slice") == name
    changed = [pl.when(is_it).then(value).otherwise(column).alias(column) for column, value in columns.items()]
    return replace(splits, cutoffs=splits.cutoffs.with_columns(changed))


def overlapping(splits: Splits) -> Splits:
    return period(splits, VALIDATION, until=pl.col("until") + 1)


def ending_early(splits: Splits) -> Splits:
    return period(splits, TEST, until=pl.col("fit_end"))


def holdout_within_the_exam(splits: Splits) -> Splits:
    return period(splits, HOLDOUT, until=pl.col("until") + 1)


def cut_before_the_period(splits: Splits) -> Splits:
    """Models of the test would be fitted on ratings that the user is said not to have given yet."""
    return moved(splits, "users", TEST, cut=pl.lit(splits.fit_end(TEST) - 1))


def target_before(splits: Splits) -> Splits:
    return moved(splits, "targets", VALIDATION, timestamp=pl.lit(splits.fit_end(VALIDATION) - 1))


def target_after(splits: Splits) -> Splits:
    """The ranker would learn from a label of the test period."""
    return moved(splits, "targets", HOLDOUT, timestamp=pl.lit(splits.fit_end(TEST)))


def cut_after_the_period(splits: Splits) -> Splits:
    """For all users, because not each of them comes back later."""
    late = pl.when(pl.col("slice") == VALIDATION).then(2**40).otherwise("cut")
    return replace(splits, users=splits.users.with_columns(cut=late))


def target_is_known(splits: Splits) -> Splits:
    """The target's own second, the classic `<=` for `<`."""
    user_id = splits.users.filter(slice=TEST)["user_id"][0]
    last = splits.targets.filter(slice=TEST, user_id=user_id)["timestamp"].max()
    return moved(splits, "users", TEST, cut=pl.lit(last).cast(pl.Int64) + 1)


def held_out_user_is_fitted_on(splits: Splits) -> Splits:
    """A user's row is lost: the targets stay, and models are no longer kept from the likes."""
    user_id = splits.users.filter(slice=HOLDOUT)["user_id"][0]
    return replace(splits, users=splits.users.filter((pl.col("slice") != HOLDOUT) | (pl.col("user_id") != user_id)))


@pytest.mark.parametrize(
    ("inject", "sentence"),
    [
        (overlapping, "validation ends at .* but test begins"),
        (ending_early, "test ends before it begins"),
        (holdout_within_the_exam, "test_holdout_15 ends at .*, within the exam"),
        (cut_before_the_period, "test: a user's cut lies before the cut-off"),
        (target_before, "validation: a target lies before its user's cut"),
        (target_after, "test_holdout_15: a target lies after the end of the slice"),
        (cut_after_the_period, "validation: a known rating lies after the end"),
        (target_is_known, "test: a target stands in what is known of its user"),
        (held_out_user_is_fitted_on, "test_holdout_15: a target is of a user who is not asked"),
        (held_out_user_is_fitted_on, "test_holdout_15: a target is among the ratings that models are fitted on"),
    ],
)
def test_every_kind_of_leak_is_named(
    ratings: pl.DataFrame, splits: Splits, inject: Callable[[Splits], Splits], sentence: str
) -> None:
    found = pl.Series(leaks(ratings, inject(splits)), dtype=pl.String)
    assert found.str.contains(sentence).any(), found.to_list()


@pytest.mark.parametrize("name", [*EXAMS, HOLDOUT])
def test_a_target_that_was_rated_long_ago_is_a_leak(ratings: pl.DataFrame, splits: Splits, name: str) -> None:
    known = known_ratings(ratings, splits, name).row(0, named=True)
    injected = moved(splits, "targets", name, user_id=pl.lit(known["user_id"]), item_id=pl.lit(known["item_id"]))
    assert any(f"{name}: a target stands in what is known" in leak for leak in leaks(ratings, injected))
