"""Who is asked in a window, what is known of them, and which models answer."""

import polars as pl
import pytest

from recsys_core.data.schemas import LIKED
from recsys_core.data.splits import NOW, TEST, Splits
from recsys_core.evaluation.protocols import FROZEN, NEWCOMERS, PROTOCOLS, REFITTED, Examination, Questions


@pytest.fixture(scope="module")
def examination(ratings: pl.DataFrame, splits: Splits) -> Examination:
    return Examination.of(ratings, splits)


def asked_of(examination: Examination) -> list[tuple[str, Questions]]:
    """Every question with the slice whose models answer it."""
    return [(name, one) for name in examination.slices for one in examination.questions(name)]


def users_of(splits: Splits, window: str) -> list[int]:
    return splits.users.filter(pl.col("slice").is_in(splits.slices_of(window)))["user_id"].sort().to_list()


def test_only_windows_that_examine_ask_and_the_models_that_serve_are_not_examined(examination: Examination) -> None:
    windows = {one.window for _, one in asked_of(examination)}
    assert windows == set(examination.splits.evaluation_windows)
    assert NOW not in examination.slices
    assert {one.protocol for _, one in asked_of(examination)} == set(PROTOCOLS)


@pytest.mark.parametrize("protocol", [REFITTED, FROZEN])
def test_each_user_of_a_window_is_asked_once_by_either_protocol(examination: Examination, protocol: str) -> None:
    for window in examination.splits.evaluation_windows:
        own = [one for _, one in asked_of(examination) if (one.protocol, one.window) == (protocol, window)]
        users = pl.concat([one.requests for one in own])["user_id"].sort().to_list()
        assert users == users_of(examination.splits, window)
        assert len(own) == (1 if protocol == FROZEN else len(examination.splits.slices_of(window)))


def test_refitted_models_answer_the_questions_of_their_own_step(examination: Examination) -> None:
    for name, one in asked_of(examination):
        if one.protocol == REFITTED:
            assert one.requests["user_id"].to_list() == examination.splits.users_of(name).tolist()
            assert (one.requests["requested_at"] >= examination.splits.fit_end(name)).all()


def test_frozen_models_are_those_of_the_first_step_and_know_as_much_of_the_user(examination: Examination) -> None:
    """Both protocols ask the same: only the age of the models differs."""
    order = ["user_id", "timestamp", "item_id"]
    for name, one in asked_of(examination):
        if one.protocol == FROZEN:
            assert name == examination.splits.slices_of(one.window)[0]
            refitted = [
                other for _, other in asked_of(examination) if (other.protocol, other.window) == (REFITTED, one.window)
            ]
            for table in ("known", "targets", "requests"):
                both = pl.concat([getattr(other, table) for other in refitted])
                keys = [key for key in order if key in both.columns]
                assert getattr(one, table).sort(keys).equals(both.sort(keys)), table


def test_nothing_is_known_of_newcomers_and_everything_else_comes_after_their_first_second(
    examination: Examination, ratings: pl.DataFrame
) -> None:
    first = ratings.group_by("user_id").agg(first=pl.col("timestamp").min())
    for name, one in asked_of(examination):
        if one.protocol == NEWCOMERS:
            assert one.known.is_empty()
            timed = one.requests.join(first, on="user_id")
            assert (timed["requested_at"] == timed["first"]).all()
            assert (timed["first"] >= examination.splits.fit_end(name)).all()
            assert (one.targets["rating"] >= LIKED).all()
            assert (one.targets["timestamp"] < examination.splits.until(name)).all()


def test_every_newcomer_who_likes_something_in_the_window_is_asked(
    examination: Examination, ratings: pl.DataFrame
) -> None:
    splits = examination.splits
    first = ratings.group_by("user_id").agg(first=pl.col("timestamp").min())
    for window in splits.evaluation_windows:
        start, end = splits.start_of(window), splits.until(splits.slices_of(window)[0])
        new = first.filter(pl.col("first").is_between(start, end, closed="left"))
        likes = ratings.filter(pl.col("rating") >= LIKED, pl.col("timestamp") < end)
        expected = new.join(likes, on="user_id", how="semi")["user_id"].sort().to_list()
        own = [one for _, one in asked_of(examination) if (one.protocol, one.window) == (NEWCOMERS, window)]
        assert pl.concat([one.requests for one in own])["user_id"].sort().to_list() == expected


def test_whatever_is_known_lies_before_the_request_and_every_target_at_or_after_it(examination: Examination) -> None:
    for _, one in asked_of(examination):
        known = one.known.join(one.requests, on="user_id")
        assert known.height == one.known.height
        assert (known["timestamp"] < known["requested_at"]).all()
        targets = one.targets.join(one.requests, on="user_id")
        assert targets.height == one.targets.height > 0
        assert (targets["timestamp"] >= targets["requested_at"]).all()
        assert one.targets.join(one.known, on=["user_id", "item_id"], how="semi").is_empty()
        assert set(one.requests["user_id"]) == set(one.targets["user_id"])
        assert one.requests["user_id"].is_sorted()


def test_without_the_targets_of_the_test_its_users_are_asked_all_the_same(
    ratings: pl.DataFrame, splits: Splits
) -> None:
    """The baselines list for them without reading what is to be found."""
    others = splits.targets.filter(~pl.col("slice").is_in(splits.slices_of(TEST)))
    blind = Examination.of(ratings, Splits(cutoffs=splits.cutoffs, users=splits.users, targets=others))
    for name in splits.slices_of(TEST):
        seeing = [one for one in Examination.of(ratings, splits).questions(name) if one.protocol != NEWCOMERS]
        for one, other in zip(seeing, blind.questions(name), strict=False):
            assert one.requests.equals(other.requests)
            assert one.known.equals(other.known)
            assert other.targets.is_empty()


def test_a_slice_in_which_nobody_asks_has_no_questions(ratings: pl.DataFrame, splits: Splits) -> None:
    last = splits.slices_of(TEST)[-1]
    nobody = Splits(
        cutoffs=splits.cutoffs,
        users=splits.users.filter(pl.col("slice") != last),
        targets=splits.targets.filter(pl.col("slice") != last),
    )
    examination = Examination(ratings=ratings, splits=nobody, new=nobody)
    assert examination.questions(last) == []
    assert len(examination.questions(splits.slices_of(TEST)[0])) == len(PROTOCOLS)
