"""Every way to break the order of time must be named."""

from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.data.config import SplitsConfig
from recsys_core.data.leaks import leaks
from recsys_core.data.splits import NOW, Splits, known_ratings, make_splits
from recsys_core.errors import DataError
from tests import tiny_world
from tests.core import embedded
from tests.core.data.slices_by_hand import BY_HAND, FIFTHS
from tests.core.tables_by_hand import every_rating_of, random_ratings
from tests.core.worlds import QUICK_SPLITS

TEACHING, EARLY, LATE = "window_1_2", "window_2_1", "test_1"
"""Slices of the tiny world that ask somebody."""


@pytest.mark.parametrize("seed", range(5))
def test_nothing_leaks_in_the_tiny_world(seed: int) -> None:
    ratings = tiny_world.ratings(seed)
    assert leaks(ratings, make_splits(ratings, SplitsConfig())) == []


def test_nothing_leaks_in_the_embedded_data() -> None:
    splits = make_splits(embedded.ratings(), SplitsConfig())
    assert leaks(embedded.ratings(), splits) == []
    asked = splits.users.join(splits.cutoffs, on="slice").group_by("window").len()
    assert asked.height == 9
    assert asked["len"].min() >= 25


@given(st.integers(0, 10_000), st.integers(8, 96), st.integers(3, 60))
@settings(max_examples=80)
def test_whatever_the_ratings_the_slices_are_clean_or_refused(seed: int, n: int, n_seconds: int) -> None:
    ratings = random_ratings(seed, n, n_seconds=n_seconds)
    try:
        splits = make_splits(ratings, FIFTHS)
    except DataError:
        return
    assert leaks(ratings, splits) == []


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 10), st.integers(0, 60)), min_size=8))
@settings(max_examples=80)
def test_whatever_is_rated_again_the_slices_are_clean_or_refused(rows: list[tuple[int, int, int, int]]) -> None:
    ratings = every_rating_of([(user, item, half_stars / 2, at) for user, item, half_stars, at in rows])
    try:
        splits = make_splits(ratings, FIFTHS)
    except DataError:
        return
    assert leaks(ratings, splits) == []


@pytest.mark.slow
@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_a_random_split_is_seen(seed: int) -> None:
    """Each slice keeps its users, but draws its likes from their whole lives."""
    ratings = tiny_world.ratings()
    splits = make_splits(ratings, QUICK_SPLITS)
    drawn = []
    for name in splits.asking:
        own = ratings.join(splits.users.filter(slice=name), on="user_id", how="semi").filter(pl.col("rating") >= 4)
        drawn.append(own.sample(fraction=0.2, seed=seed).select(pl.lit(name).alias("slice"), pl.all()))
    found = leaks(ratings, replace(splits, targets=pl.concat(drawn)))
    assert {leak.split(":")[0] for leak in found} == set(splits.asking)


def test_an_exam_cut_per_user_is_seen(ratings: pl.DataFrame, splits: Splits) -> None:
    """The last likes of each user, whenever that was: popular in the literature, and a leak of the others' future."""
    last = ratings.filter(pl.col("rating") >= 4).sort("timestamp", "item_id").group_by("user_id").tail(2)
    targets = last.select(pl.lit(LATE).alias("slice"), pl.all())
    users = targets.group_by("slice", "user_id").agg(cut=pl.col("timestamp").min())
    others = splits.targets.filter(pl.col("slice") != LATE), splits.users.filter(pl.col("slice") != LATE)
    injected = replace(splits, targets=pl.concat([others[0], targets]), users=pl.concat([others[1], users]))
    assert any(f"{LATE}: a user's cut lies before the cut-off" in leak for leak in leaks(ratings, injected))


@pytest.mark.parametrize("late", [(1, 1, 4.0, 14), (3, 3, 5.0, 16), (4, 1, 4.0, 19)])
def test_an_item_that_was_rated_again_and_is_made_a_target_is_a_leak(late: tuple[int, int, float, int]) -> None:
    """The user had rated it before the cut, so it would never be shown; here the later rating counts as an answer."""
    ratings = every_rating_of(BY_HAND)
    splits = make_splits(ratings, FIFTHS)
    assert leaks(ratings, splits) == []
    again = every_rating_of([late])
    name = [one for one in splits.names if splits.fit_end(one) <= again["timestamp"].item()][-1]
    label = pl.lit(name).alias("slice")
    injected = replace(
        splits,
        users=pl.concat([splits.users, again.select(label, "user_id", cut="timestamp")]).unique(["slice", "user_id"]),
        targets=pl.concat([splits.targets, again.select(label, pl.all())]),
    )
    assert f"{name}: a target stands in what is known of its user" in leaks(ratings, injected)


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
    late = pl.when(pl.col("window") == "window_2").then(pl.col("until") + 1).otherwise("until")
    return replace(splits, cutoffs=splits.cutoffs.with_columns(until=late))


def ending_early(splits: Splits) -> Splits:
    return period(splits, LATE, until=pl.col("fit_end") - 1)


def steps_out_of_order(splits: Splits) -> Splits:
    """A tower would start from the weights of one that has seen later ratings."""
    return period(splits, EARLY, fit_end=pl.col("until"))


def cut_before_the_period(splits: Splits) -> Splits:
    """Models of the test would be fitted on ratings that the user is said not to have given yet."""
    return moved(splits, "users", LATE, cut=pl.lit(splits.fit_end(LATE) - 1))


def target_before(splits: Splits) -> Splits:
    return moved(splits, "targets", EARLY, timestamp=pl.lit(splits.fit_end(EARLY) - 1))


def target_after(splits: Splits) -> Splits:
    """The ranker of a later window would learn from a label that is known only after that window has begun."""
    return moved(splits, "targets", TEACHING, timestamp=pl.lit(splits.until(TEACHING)))


def cut_after_the_period(splits: Splits) -> Splits:
    """For all users, because not each of them comes back later."""
    late = pl.when(pl.col("slice") == EARLY).then(2**40).otherwise("cut")
    return replace(splits, users=splits.users.with_columns(cut=late))


def target_is_known(splits: Splits) -> Splits:
    """The target's own second, the classic `<=` for `<`."""
    user_id = splits.users.filter(slice=LATE)["user_id"][0]
    last = splits.targets.filter(slice=LATE, user_id=user_id)["timestamp"].max()
    return moved(splits, "users", LATE, cut=pl.lit(last).cast(pl.Int64) + 1)


def user_is_lost(splits: Splits) -> Splits:
    """A user's row is gone: the targets stay."""
    user_id = splits.users.filter(slice=EARLY)["user_id"][0]
    return replace(splits, users=splits.users.filter((pl.col("slice") != EARLY) | (pl.col("user_id") != user_id)))


def fitted_after_the_answers(splits: Splits) -> Splits:
    """The models of a slice are those of the end of its window, and their users are lost as well."""
    moved = period(splits, EARLY, fit_end=pl.col("until"))
    return replace(moved, users=moved.users.filter(pl.col("slice") != EARLY))


@pytest.mark.parametrize(
    ("inject", "sentence"),
    [
        (overlapping, "window_2_2 ends at .* but window_3_1 begins"),
        (ending_early, f"{LATE} ends before it begins"),
        (steps_out_of_order, f"{EARLY} comes before window_2_2, but its models see later ratings"),
        (cut_before_the_period, f"{LATE}: a user's cut lies before the cut-off"),
        (target_before, f"{EARLY}: a target lies before its user's cut"),
        (target_after, f"{TEACHING}: a target lies after the end of the slice"),
        (cut_after_the_period, f"{EARLY}: a known rating lies after the end"),
        (target_is_known, f"{LATE}: a target stands in what is known of its user"),
        (user_is_lost, f"{EARLY}: a target is of a user who is not asked"),
        (fitted_after_the_answers, f"{EARLY}: a target is among the ratings that models are fitted on"),
    ],
)
def test_every_kind_of_leak_is_named(
    ratings: pl.DataFrame, splits: Splits, inject: Callable[[Splits], Splits], sentence: str
) -> None:
    found = pl.Series(leaks(ratings, inject(splits)), dtype=pl.String)
    assert found.str.contains(sentence).any(), found.to_list()


@pytest.mark.parametrize("name", [TEACHING, EARLY, LATE])
def test_a_target_that_was_rated_long_ago_is_a_leak(ratings: pl.DataFrame, splits: Splits, name: str) -> None:
    known = known_ratings(ratings, splits, name).row(0, named=True)
    injected = moved(splits, "targets", name, user_id=pl.lit(known["user_id"]), item_id=pl.lit(known["item_id"]))
    assert any(f"{name}: a target stands in what is known" in leak for leak in leaks(ratings, injected))


def test_the_slice_that_serves_asks_nobody_and_leaks_nothing(ratings: pl.DataFrame, splits: Splits) -> None:
    alone = replace(splits, cutoffs=splits.cutoffs.filter(slice=NOW), users=splits.users.clear())
    assert leaks(ratings, replace(alone, targets=splits.targets.clear())) == []
