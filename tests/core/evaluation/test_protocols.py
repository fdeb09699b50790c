"""Who is asked in a window, what is known of them, and which models answer."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.histories import Catalogue
from recsys_core.data.schemas import LIKED
from recsys_core.data.splits import NOW, TEST, Splits
from recsys_core.errors import DataError
from recsys_core.evaluation.protocols import (
    FROZEN,
    NEWCOMERS,
    PROTOCOLS,
    RANKED_LISTS,
    REFITTED,
    EvaluationQuestions,
    Questions,
    lists_array,
    lists_table,
)
from tests.core.tables_by_hand import shuffled


@pytest.fixture(scope="module")
def evaluation(ratings: pl.DataFrame, splits: Splits) -> EvaluationQuestions:
    return EvaluationQuestions.of(ratings, splits)


def asked_of(evaluation: EvaluationQuestions) -> list[tuple[str, Questions]]:
    """Every question with the slice whose models answer it."""
    return [(name, one) for name in evaluation.slices for one in evaluation.questions(name)]


def users_of(splits: Splits, window: str) -> list[int]:
    return splits.users.filter(pl.col("slice").is_in(splits.slices_of(window)))["user_id"].sort().to_list()


def test_only_windows_that_examine_ask_and_the_models_that_serve_are_not_examined(
    evaluation: EvaluationQuestions,
) -> None:
    windows = {one.window for _, one in asked_of(evaluation)}
    assert windows == set(evaluation.splits.evaluation_windows)
    assert NOW not in evaluation.slices
    assert {one.protocol for _, one in asked_of(evaluation)} == set(PROTOCOLS)


@pytest.mark.parametrize("protocol", [REFITTED, FROZEN])
def test_each_user_of_a_window_is_asked_once_by_either_protocol(evaluation: EvaluationQuestions, protocol: str) -> None:
    for window in evaluation.splits.evaluation_windows:
        own = [one for _, one in asked_of(evaluation) if (one.protocol, one.window) == (protocol, window)]
        users = pl.concat([one.requests for one in own])["user_id"].sort().to_list()
        assert users == users_of(evaluation.splits, window)
        assert len(own) == (1 if protocol == FROZEN else len(evaluation.splits.slices_of(window)))


def test_refitted_models_answer_the_questions_of_their_own_step(evaluation: EvaluationQuestions) -> None:
    for name, one in asked_of(evaluation):
        if one.protocol == REFITTED:
            assert one.requests["user_id"].to_list() == evaluation.splits.users_of(name).tolist()
            assert (one.requests["requested_at"] >= evaluation.splits.fit_end(name)).all()


def test_frozen_models_are_those_of_the_first_step_and_know_as_much_of_the_user(
    evaluation: EvaluationQuestions,
) -> None:
    """Both protocols ask the same: only the age of the models differs."""
    order = ["user_id", "timestamp", "item_id"]
    for name, one in asked_of(evaluation):
        if one.protocol == FROZEN:
            assert name == evaluation.splits.slices_of(one.window)[0]
            refitted = [
                other for _, other in asked_of(evaluation) if (other.protocol, other.window) == (REFITTED, one.window)
            ]
            for table in ("known", "targets", "requests"):
                both = pl.concat([getattr(other, table) for other in refitted])
                keys = [key for key in order if key in both.columns]
                assert getattr(one, table).sort(keys).equals(both.sort(keys)), table


def test_nothing_is_known_of_newcomers_and_everything_else_comes_after_their_first_second(
    evaluation: EvaluationQuestions, ratings: pl.DataFrame
) -> None:
    first = ratings.group_by("user_id").agg(first=pl.col("timestamp").min())
    for name, one in asked_of(evaluation):
        if one.protocol == NEWCOMERS:
            assert one.known.is_empty()
            timed = one.requests.join(first, on="user_id")
            assert (timed["requested_at"] == timed["first"]).all()
            assert (timed["first"] >= evaluation.splits.fit_end(name)).all()
            assert (one.targets["rating"] >= LIKED).all()
            assert (one.targets["timestamp"] < evaluation.splits.until(name)).all()


def test_every_newcomer_who_likes_something_in_the_window_is_asked(
    evaluation: EvaluationQuestions, ratings: pl.DataFrame
) -> None:
    splits = evaluation.splits
    first = ratings.group_by("user_id").agg(first=pl.col("timestamp").min())
    for window in splits.evaluation_windows:
        start, end = splits.start_of(window), splits.until(splits.slices_of(window)[0])
        new = first.filter(pl.col("first").is_between(start, end, closed="left"))
        likes = ratings.filter(pl.col("rating") >= LIKED, pl.col("timestamp") < end)
        expected = new.join(likes, on="user_id", how="semi")["user_id"].sort().to_list()
        own = [one for _, one in asked_of(evaluation) if (one.protocol, one.window) == (NEWCOMERS, window)]
        assert pl.concat([one.requests for one in own])["user_id"].sort().to_list() == expected


def test_whatever_is_known_lies_before_the_request_and_every_target_at_or_after_it(
    evaluation: EvaluationQuestions,
) -> None:
    for _, one in asked_of(evaluation):
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
    blind = EvaluationQuestions.of(ratings, Splits(cutoffs=splits.cutoffs, users=splits.users, targets=others))
    for name in splits.slices_of(TEST):
        seeing = [one for one in EvaluationQuestions.of(ratings, splits).questions(name) if one.protocol != NEWCOMERS]
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
    evaluation = EvaluationQuestions(ratings=ratings, splits=nobody, new=nobody)
    assert evaluation.questions(last) == []
    assert len(evaluation.questions(splits.slices_of(TEST)[0])) == len(PROTOCOLS)


CATALOGUE = Catalogue(item_ids=np.arange(100, 110))
USERS = np.array([3, 5, 9])


def test_a_list_by_hand() -> None:
    table = lists_table("ours", np.array([3, 5]), np.array([[4, 0, -1], [9, -1, -1]]), CATALOGUE)
    assert table.rows() == [("ours", 3, 104, 1), ("ours", 3, 100, 2), ("ours", 5, 109, 1)]


def test_a_gap_keeps_the_places_behind_it() -> None:
    table = lists_table("ours", np.array([3]), np.array([[4, -1, 2]]), CATALOGUE)
    assert table.select("item_id", "rank").rows() == [(104, 1), (102, 3)]
    assert lists_array(table, np.array([3])).tolist() == [[104, -1, 102]]


@given(
    st.lists(st.permutations(range(10)), min_size=3, max_size=3), st.lists(st.integers(0, 6), min_size=3, max_size=3)
)
def test_tables_lead_back_to_lists_in_any_order_of_the_rows(orders: list[list[int]], lengths: list[int]) -> None:
    ranked = np.array([order[:6] for order in orders])
    ranked[np.arange(6) >= np.array(lengths)[:, None]] = -1
    table = shuffled(lists_table("ours", USERS, ranked, CATALOGUE))
    found = CATALOGUE.idx_of(lists_array(table, USERS))
    assert np.array_equal(found, ranked[:, : max(lengths)])


def test_a_user_without_a_list_gets_an_empty_one() -> None:
    table = lists_table("ours", np.array([5]), np.array([[1, 2]]), CATALOGUE)
    assert lists_array(table, USERS).tolist() == [[-1, -1], [101, 102], [-1, -1]]


@pytest.mark.parametrize("user_ids", [[], [3, 5]])
def test_empty_lists_are_a_table_without_rows(user_ids: list[int]) -> None:
    users = np.array(user_ids, dtype=np.int64)
    table = lists_table("ours", users, np.full((len(users), 4), -1), CATALOGUE)
    assert table.is_empty()
    assert RANKED_LISTS.validate(table).schema["model"] == pl.String
    assert lists_array(table, users).shape == (len(users), 0)


def test_an_item_listed_twice_is_refused() -> None:
    with pytest.raises(DataError, match="appears twice"):
        lists_table("ours", np.array([3]), np.array([[4, 4]]), CATALOGUE)
