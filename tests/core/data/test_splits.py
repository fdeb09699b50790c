"""From ratings to slices: who is asked when, what is known then, what is held out, and what models may see."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.config import HoldoutsConfig, SplitsConfig
from recsys_core.data.splits import (
    NOW,
    TEST,
    Splits,
    fit_ratings,
    fitted_before,
    hold_out,
    known_ratings,
    make_splits,
    newcomers,
    relevant_items,
)
from recsys_core.errors import DataError
from tests import tiny_world
from tests.core.data.slices_by_hand import BY_HAND, FIFTHS, TABLES
from tests.core.tables_by_hand import T0, every_rating_of, ratings_of, shuffled
from tests.core.worlds import QUICK_SPLITS

THIRD = HoldoutsConfig(holdout_share=0.3, n_holdouts=1, holdout_likes=3)
DAY = 86_400


@pytest.fixture(scope="module")
def splits(ratings: pl.DataFrame) -> Splits:
    return make_splits(ratings, SplitsConfig())


def rows_of(table: pl.DataFrame, name: str) -> list[tuple[int, int]]:
    return table.filter(slice=name).select("user_id", "item_id").rows()


def assert_same(one: Splits, other: Splits, names: list[str]) -> None:
    for table in TABLES:
        kept, also = (getattr(splits, table).filter(pl.col("slice").is_in(names)) for splits in (one, other))
        assert kept.equals(also), table


def with_re_ratings(seed: int) -> pl.DataFrame:
    """The tiny world, in which everybody has also rated a third of the movies once before, a few days earlier."""
    ratings = tiny_world.ratings(seed)
    again = ratings.sample(fraction=0.3, seed=seed).with_columns(
        rating=5.5 - pl.col("rating"), timestamp=pl.col("timestamp") - DAY * (1 + pl.int_range(pl.len()) % 200)
    )
    both = pl.concat([ratings, again.select(ratings.columns).cast(dict(ratings.schema))])
    return both.sort("timestamp", "user_id", "item_id", maintain_order=True)


# ---- the chain ----


def test_the_chain_by_hand() -> None:
    splits = make_splits(every_rating_of(BY_HAND), FIFTHS)
    windows = [("window_1", 8, False), ("window_2", 12, True), ("window_3", 16, True), (TEST, 20, True)]
    expected = [
        (f"{window}_{step}", window, T0 + until - 4 + 2 * (step - 1), T0 + until, is_evaluation)
        for window, until, is_evaluation in windows
        for step in (1, 2)
    ]
    assert splits.cutoffs.rows() == [*expected, (NOW, NOW, T0 + 20, T0 + 20, False)]
    assert splits.users.rows() == [
        ("window_1_1", 1, T0 + 5),
        ("window_1_2", 2, T0 + 7),
        ("window_2_1", 3, T0 + 9),
        ("window_3_2", 1, T0 + 15),
        ("test_1", 3, T0 + 17),
    ]
    assert splits.targets.select("slice", "user_id", "item_id").rows() == [
        ("window_1_1", 1, 4),
        ("window_1_2", 2, 3),
        ("window_2_1", 3, 4),
        ("window_3_2", 1, 5),
        ("test_1", 3, 5),
    ]


def test_ratings_in_the_second_of_the_first_target_are_targets_and_not_known() -> None:
    """Five ratings, of which the middle one shares its second with the one before."""
    late = [(1, 5, 5.0, 20), (1, 6, 5.0, 21), (1, 7, 5.0, 21), (1, 8, 1.0, 21), (1, 9, 4.0, 22)]
    ratings = ratings_of([(user, 1, 5.0, user) for user in range(1, 16)] + late)
    splits = make_splits(ratings, FIFTHS.model_copy(update={"n_refits": 1}))
    assert splits.requests(f"{TEST}_1").rows() == [(1, T0 + 21)]
    assert known_ratings(ratings, splits, f"{TEST}_1")["item_id"].to_list() == [1, 5]
    assert rows_of(splits.targets, f"{TEST}_1") == [(1, 6), (1, 7), (1, 9)]


def test_a_session_within_one_second_is_all_target_and_starts_from_the_past() -> None:
    late = [(user, 20 + item, 5.0, 20) for user in (1, 99) for item in range(3)]
    ratings = ratings_of([(user, 1, 5.0, user) for user in range(1, 20)] + late)
    splits = make_splits(ratings, FIFTHS.model_copy(update={"n_refits": 1}))
    assert splits.users_of(f"{TEST}_1").tolist() == [1], "of user 99 nothing is known before that second"
    assert splits.targets.filter(slice=f"{TEST}_1").height == 3
    assert known_ratings(ratings, splits, f"{TEST}_1")["item_id"].to_list() == [1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("world", [tiny_world.ratings, with_re_ratings], ids=["rated once", "rated again"])
def test_windows_agree_with_the_slow_loop(world, seed: int) -> None:
    ratings = world(seed)
    splits = make_splits(ratings, QUICK_SPLITS)
    steps = {row["slice"]: row for row in splits.cutoffs.iter_rows(named=True)}
    ends = [*(row["fit_end"] for row in steps.values()), 2**40][1:]
    for (name, step), end in zip(steps.items(), ends, strict=True):
        start = splits.start_of(step["window"])
        known, targets = [], []
        for user_id in sorted(set(ratings["user_id"].to_list())):
            own = sorted(ratings.filter(user_id=user_id).rows(), key=lambda row: (row[3], row[1]))
            active = [row for row in own if start <= row[3] < step["until"]]
            cut = active[len(active) // 2][3] if active else -1
            before = {row[1]: row for row in own if row[3] < cut}
            answers = {row[1]: row for row in reversed(active) if row[3] >= cut}  # the first of an item is set last
            wanted = [row for item, row in answers.items() if row[2] >= 4 and item not in before]
            if step["fit_end"] <= cut < end and before and wanted:
                known += before.values()
                targets += [(name, *row) for row in wanted]
        found = known_ratings(ratings, splits, name)
        assert sorted(found.rows()) == sorted(known)
        assert sorted(splits.targets.filter(slice=name).rows()) == sorted(targets)
        assert splits.users.filter(slice=name).select("slice", "user_id").rows() == sorted({row[:2] for row in targets})


def test_windows_lie_in_order_and_touch(ratings: pl.DataFrame, splits: Splits) -> None:
    windows = splits.cutoffs.group_by("window", maintain_order=True).agg(
        pl.col("fit_end").min(), pl.col("until").unique()
    )
    starts, ends = windows["fit_end"].to_list(), windows["until"].explode().to_list()
    assert ratings["timestamp"].min() < starts[0]
    assert ends[:-1] == starts[1:]
    assert splits.cutoffs["fit_end"].is_sorted()
    assert splits.cutoffs["fit_end"].n_unique() == splits.cutoffs.height
    assert splits.until(NOW) == splits.fit_end(NOW) == ratings["timestamp"].max() + 1


def test_shares_are_those_of_the_settings(ratings: pl.DataFrame, splits: Splits) -> None:
    """Whatever happened in how many days: a step is a fortieth of the ratings."""
    for n, name in enumerate(splits.names[:-1]):
        seen = (ratings["timestamp"] < splits.fit_end(name)).sum()
        assert seen / ratings.height == pytest.approx(0.1 + n / 40, abs=0.01)
    assert len(splits.names) == 9 * 4 + 1


def test_the_first_windows_teach_and_the_last_two_are_not_for_development(splits: Splits) -> None:
    assert splits.evaluation_windows == [*(f"window_{n}" for n in range(3, 9)), TEST]
    assert splits.development == [f"window_{n}" for n in range(3, 8)]
    assert splits.evaluation_slices == [
        name for name in splits.names if splits.window_of(name) in splits.evaluation_windows
    ]


def test_each_user_of_a_window_is_asked_at_most_once(ratings: pl.DataFrame, splits: Splits) -> None:
    asked = splits.users.join(splits.cutoffs, on="slice")
    assert not asked.select("window", "user_id").is_duplicated().any()
    assert asked["user_id"].n_unique() < asked.height, "who comes back is asked again in another window"


def test_a_user_is_asked_by_the_models_of_the_step_of_the_cut(splits: Splits) -> None:
    starts = [*splits.cutoffs["fit_end"].to_list(), 2**40]
    for name, start, end in zip(splits.names, starts, starts[1:], strict=False):
        cuts = splits.users.filter(slice=name)["cut"]
        assert cuts.is_between(start, end, closed="left").all()


def test_users_new_since_the_fit_are_asked_too(ratings: pl.DataFrame, splits: Splits) -> None:
    new = 0
    for name in splits.asking:
        fitted = set(fit_ratings(ratings, splits, name)["user_id"].to_list())
        new += len(set(splits.users_of(name).tolist()) - fitted)
        assert set(splits.users_of(name).tolist()) == set(known_ratings(ratings, splits, name)["user_id"].to_list())
    assert new > 0


def test_now_sees_all_and_asks_nobody(ratings: pl.DataFrame, splits: Splits) -> None:
    assert splits.names[-1] == NOW
    assert fit_ratings(ratings, splits, NOW).equals(ratings)
    assert splits.users_of(NOW).tolist() == []
    assert NOW not in splits.asking
    assert splits.last_until == splits.fit_end(NOW)


def test_now_lies_after_what_is_known_beside_the_ratings(ratings: pl.DataFrame, splits: Splits) -> None:
    """Clicks that came after the last rating are part of what the serving models may know."""
    last = int(ratings["timestamp"].max())  # type: ignore[arg-type]
    none, earlier, later = (pl.Series([], dtype=pl.Int64), pl.Series([last - 9]), pl.Series([last + 5, last + 70]))
    assert make_splits(ratings, SplitsConfig(), [none, earlier]).fit_end(NOW) == last + 1
    moved = make_splits(ratings, SplitsConfig(), [none, later, earlier])
    assert moved.fit_end(NOW) == last + 71
    assert_same(moved, splits, splits.names[:-1])


# ---- re-ratings ----


def test_ten_known_likes_rated_again_on_the_last_day_are_no_targets() -> None:
    """They would never be recommended, so nobody could find them; an eleventh like that is new is one."""
    ratings = tiny_world.ratings()
    user_id, last = int(tiny_world.USER_IDS[0]), int(ratings["timestamp"].max()) + 60  # type: ignore[arg-type]
    own = ratings.filter(user_id=user_id)
    known = own["item_id"].to_list()
    assert len(known) >= 11
    again = [(user_id, item, 5.0, last + at) for at, item in enumerate(known[:10])]
    fresh = next(item for item in tiny_world.ITEM_IDS.tolist() if item not in known)
    more = pl.DataFrame([*again, (user_id, fresh, 5.0, last + 10)], schema=ratings.schema, orient="row")
    every = pl.concat([ratings, more])
    splits = make_splits(every, SplitsConfig())
    own_targets = splits.targets.filter(pl.col("timestamp") >= last, user_id=user_id)
    assert own_targets["item_id"].to_list() == [fresh]


def test_a_re_rating_changes_nothing_of_the_slices_before_it() -> None:
    """The past before it keeps the old rating: in what models are fitted on, in what is known, and as a target."""
    before = every_rating_of(BY_HAND)
    changed = every_rating_of([*BY_HAND[:-1], (2, 3, 1.0, 19)])  # user 2's target of window 1, rated again
    one, other = (make_splits(rows, FIFTHS) for rows in (before, changed))
    names = [name for name in one.names if one.until(name) < T0 + 19]
    assert_same(one, other, names)
    for name in [*names, *one.slices_of(TEST)]:
        assert fit_ratings(changed, other, name).equals(fit_ratings(before, one, name))
    for name in names:
        assert known_ratings(changed, other, name).equals(known_ratings(before, one, name))
    now = fit_ratings(changed, other, NOW).filter(user_id=2, item_id=3)
    assert now["rating"].to_list() == [1.0]


def test_of_an_answer_that_was_rated_twice_the_first_counts() -> None:
    late = [(3, 6, 4.0, 16), (3, 7, 5.0, 17), (3, 5, 5.0, 18), (3, 5, 1.0, 19)]
    found = make_splits(every_rating_of([*BY_HAND[:16], *late]), FIFTHS).targets.filter(slice="test_2")
    assert found.select("item_id", "rating").rows() == [(5, 5.0)]
    late[2:] = [(3, 5, 1.0, 18), (3, 5, 5.0, 19)]
    assert make_splits(every_rating_of([*BY_HAND[:16], *late]), FIFTHS).users_of("test_2").tolist() == []


# ---- newcomers ----


def test_newcomers_by_hand() -> None:
    """User 4 comes in window 3, whose step 1 begins in the very second of the first rating."""
    ratings = every_rating_of(BY_HAND)
    asked = newcomers(ratings, make_splits(ratings, FIFTHS))
    assert asked.users.rows() == [("window_3_1", 4, T0 + 12)]
    assert rows_of(asked.targets, "window_3_1") == [(4, 1)]
    assert known_ratings(ratings, asked, "window_3_1").is_empty()


@pytest.mark.parametrize("world", [tiny_world.ratings, with_re_ratings], ids=["rated once", "rated again"])
def test_newcomers_are_asked_at_their_first_second_with_no_history(world) -> None:
    ratings = world(0)
    splits = make_splits(ratings, SplitsConfig())
    asked = newcomers(ratings, splits)
    assert asked.cutoffs.equals(splits.cutoffs)
    first = dict(ratings.group_by("user_id").agg(pl.col("timestamp").min()).rows())
    likers = {row["slice"]: set() for row in splits.cutoffs.iter_rows(named=True)}
    for name, start, end in zip(splits.names, splits.cutoffs["fit_end"], splits.cutoffs["fit_end"][1:], strict=False):
        until = splits.until(name)
        own: dict[tuple[int, int], float] = {}
        for user, item, stars, at in ratings.rows():
            if start <= first[user] < end and at < until:
                own.setdefault((user, item), stars)
        likers[name] = {pair for pair, stars in own.items() if stars >= 4}
    for name in splits.names:
        assert set(rows_of(asked.targets, name)) == likers[name]
        assert asked.users_of(name).tolist() == sorted({user for user, _ in likers[name]})
        assert asked.requests(name).rows() == [(user, first[user]) for user in asked.users_of(name).tolist()]
        assert known_ratings(ratings, asked, name).is_empty()
        assert fit_ratings(ratings, asked, name).equals(fit_ratings(ratings, splits, name))
    assert asked.users.height > 40


# ---- hold-outs ----


def test_a_holdout_by_hand() -> None:
    """Four likes, of which 30 % are two (rounded up); the dislike among them is neither known nor a target."""
    rows = [(7, 1, 5.0, 0), (7, 2, 4.0, 1), (7, 3, 5.0, 2), (7, 4, 1.0, 3), (7, 5, 4.5, 4), (8, 1, 5.0, 3)]
    ratings = ratings_of(rows)
    made = hold_out(ratings, T0 + 5, THIRD)
    assert made.cutoffs.rows() == [("holdout_30", "holdout_30", T0 + 5, T0 + 5, False)]
    assert made.users.rows() == [("holdout_30", 7, T0 + 2)]
    assert rows_of(made.targets, "holdout_30") == [(7, 3), (7, 5)]
    assert known_ratings(ratings, made, "holdout_30")["item_id"].to_list() == [1, 2]
    fitted = fit_ratings(ratings, made, "holdout_30").select("user_id", "item_id").rows()
    assert fitted == [(7, 1), (7, 2), (8, 1)], "of user 8 nothing is held out"


def test_a_second_is_never_parted_by_a_holdout() -> None:
    ratings = ratings_of([(7, 1, 5.0, 0), (7, 2, 4.0, 1), (7, 3, 5.0, 1), (7, 4, 5.0, 1)])
    made = hold_out(ratings, T0 + 9, THIRD)
    assert rows_of(made.targets, "holdout_30") == [(7, 2), (7, 3), (7, 4)]
    at_once = ratings_of([(7, item, 5.0, 0) for item in range(5)])
    assert hold_out(at_once, T0 + 9, THIRD).users.is_empty(), "nothing would be known of the user"


def test_too_few_likes_are_not_held_out() -> None:
    ratings = ratings_of([(7, item, 4.0 if item < 3 else 2.0, item) for item in range(9)])
    assert hold_out(ratings, T0 + 99, THIRD).users.height == 1
    assert hold_out(ratings, T0 + 99, THIRD.model_copy(update={"holdout_likes": 4})).users.is_empty()


@pytest.mark.parametrize("window", ["window_3", TEST])
def test_holdouts_agree_with_the_slow_loop(ratings: pl.DataFrame, splits: Splits, window: str) -> None:
    fit_end = splits.start_of(window)
    made = hold_out(ratings, fit_end, HoldoutsConfig())
    assert made.names == ["holdout_45", "holdout_30", "holdout_15"]
    for name, share in zip(made.names, (0.45, 0.3, 0.15), strict=True):
        targets, fitted = [], []
        for user_id in sorted(set(ratings["user_id"].to_list())):
            own = sorted(ratings.filter(user_id=user_id).rows(), key=lambda row: (row[3], row[1]))
            own = [row for row in own if row[3] < fit_end]
            likes = [row for row in own if row[2] >= 4]
            cut = likes[-math.ceil(len(likes) * share)][3] if len(likes) >= 5 else fit_end
            known = [row for row in own if row[3] < cut]
            fitted += known if known else own
            targets += [(name, *row) for row in likes if row[3] >= cut and known]
        assert made.targets.filter(slice=name).rows() == targets
        assert fit_ratings(ratings, made, name).sort("user_id", "timestamp", "item_id").rows() == fitted


def test_nothing_from_the_end_on_is_in_the_holdouts(ratings: pl.DataFrame, splits: Splits) -> None:
    fit_end = splits.start_of(TEST)
    past = ratings.filter(pl.col("timestamp") < fit_end)
    made = hold_out(ratings, fit_end, HoldoutsConfig())
    assert_same(hold_out(past, fit_end, HoldoutsConfig()), made, made.names)


def test_one_slice_may_stand_alone(ratings: pl.DataFrame) -> None:
    one = fitted_before(T0, "then")
    assert one.cutoffs.rows() == [("then", "then", T0, T0, False)]
    assert one.users_of("then").tolist() == one.asking == []


# ---- all slices ----


def test_every_target_is_a_like_of_a_user_who_is_asked(ratings: pl.DataFrame, splits: Splits) -> None:
    assert (splits.targets["rating"] >= 4).all()
    assert set(splits.targets.select("slice", "user_id").rows()) == set(splits.users.select("slice", "user_id").rows())
    assert not splits.targets.select("slice", "user_id", "item_id").is_duplicated().any()
    assert splits.targets.drop("slice").join(ratings, on=ratings.columns, how="anti").is_empty()


def test_the_order_of_the_rows_changes_nothing(ratings: pl.DataFrame, splits: Splits) -> None:
    assert_same(splits, make_splits(shuffled(ratings), SplitsConfig()), splits.names)


@pytest.mark.parametrize("window", ["window_3", "window_8"])
def test_a_window_does_not_see_what_happens_after_it(ratings: pl.DataFrame, splits: Splits, window: str) -> None:
    """Only the seconds of later ratings stay, which the quantiles need; users, items and stars are all others."""
    names = [name for name in splits.names if splits.until(name) <= splits.until(splits.slices_of(window)[0])][:-1]
    assert names[-1] == f"{window}_3"
    names.append(f"{window}_4")
    until = splits.until(names[-1])
    later = ratings.filter(pl.col("timestamp") >= until)
    other = tiny_world.ratings(seed=1).with_columns(user_id=pl.col("user_id") + 1)
    swapped = other.head(later.height).with_columns(timestamp=later["timestamp"])
    past = ratings.filter(pl.col("timestamp") < until)
    changed = pl.concat([past, swapped, later.tail(later.height - swapped.height)])
    replayed = make_splits(changed, SplitsConfig())
    assert_same(splits, replayed, names)
    for name in names:
        assert known_ratings(changed, replayed, name).equals(known_ratings(ratings, splits, name))
        assert fit_ratings(changed, replayed, name).equals(fit_ratings(ratings, splits, name))
    assert not replayed.targets.equals(splits.targets)


# ---- refusals ----


@pytest.mark.parametrize("n", [0, 1, 9])
def test_too_few_ratings_are_refused(n: int) -> None:
    with pytest.raises(DataError, match=f"{n} ratings cannot be cut into 36 steps of time.*fewer windows or refits"):
        make_splits(every_rating_of(BY_HAND[:n]), SplitsConfig())


def test_ratings_of_one_second_are_refused() -> None:
    with pytest.raises(DataError, match="too many in one second"):
        make_splits(ratings_of([(user, 1, 5.0, 0) for user in range(40)]), FIFTHS)


def test_a_first_window_without_a_past_is_refused() -> None:
    rows = [(user, 1, 5.0, max(0, user - 10)) for user in range(40)]
    with pytest.raises(DataError, match="cannot be cut"):
        make_splits(ratings_of(rows), FIFTHS)


def test_windows_that_all_teach_are_refused() -> None:
    with pytest.raises(ValueError, match="n_teaching is 2 of 4 windows: at least 3 must remain"):
        SplitsConfig(n_windows=4, n_teaching=2)


# ---- what may be fitted, what is known, and the way through the disk ----


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
    assert (splits.evaluation_windows, splits.development) == (["window_2", "window_3", TEST], ["window_2"])
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
