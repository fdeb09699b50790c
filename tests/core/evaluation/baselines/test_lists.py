"""Baselines by our protocols: tuned on the development windows, listed for the users of all that examine."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from recsys_core.data.splits import TEST, Splits, fit_ratings
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.lists import LIST_LENGTH, BaselineLists, baseline_lists
from recsys_core.evaluation.baselines.tuning import BASELINES
from recsys_core.evaluation.protocols import NEWCOMERS, PROTOCOLS, Examination, Questions
from recsys_core.evaluation.schemas import BASELINE_LISTS
from tests import tiny_world

CONFIG = BaselinesConfig(n_trials=2)


@pytest.fixture(scope="module")
def made(ratings: pl.DataFrame, splits: Splits) -> BaselineLists:
    return baseline_lists(ratings, splits, CONFIG)


def questions_of(ratings: pl.DataFrame, splits: Splits) -> dict[str, list[Questions]]:
    examination = Examination.of(ratings, splits)
    return {name: examination.questions(name) for name in examination.slices}


def own_of(lists: pl.DataFrame, one: Questions) -> pl.DataFrame:
    """The lists that answer some questions."""
    users = one.requests["user_id"].to_list()
    return lists.filter(pl.col("user_id").is_in(users), protocol=one.protocol, window=one.window)


def test_every_baseline_lists_every_user_of_every_window_by_every_protocol(
    made: BaselineLists, ratings: pl.DataFrame, splits: Splits
) -> None:
    names = [baseline.name for baseline in BASELINES]
    n_lists = 0
    for asked in questions_of(ratings, splits).values():
        for one in asked:
            users = one.requests["user_id"].to_list()
            for name in names:
                assert own_of(made.lists, one).filter(model=name)["user_id"].unique().sort().to_list() == users
            n_lists += len(names) * len(users)
    assert made.lists.select("protocol", "window", "model", "user_id").n_unique() == n_lists
    assert set(made.lists["protocol"]) == set(PROTOCOLS)
    assert set(made.lists["window"]) == set(splits.evaluation_windows)
    BASELINE_LISTS.validate(made.lists)


def test_each_list_holds_all_that_may_be_recommended(
    made: BaselineLists, ratings: pl.DataFrame, splits: Splits
) -> None:
    """Fewer than 200 items here: hence all of the slice's catalogue but what the user has seen, ranked from 1."""
    for name, asked in questions_of(ratings, splits).items():
        catalogue = set(fit_ratings(ratings, splits, name)["item_id"].to_list())
        assert len(catalogue) < LIST_LENGTH
        for one in asked:
            for (_, user_id), own in own_of(made.lists, one).group_by("model", "user_id"):
                seen = set(one.known.filter(user_id=user_id)["item_id"].to_list())
                assert set(own["item_id"].to_list()) == catalogue - seen
                assert sorted(own["rank"].to_list()) == list(range(1, own.height + 1))


def test_the_time_of_recent_popularity_ends_with_the_fit_of_the_slice(ratings: pl.DataFrame, splits: Splits) -> None:
    config = BaselinesConfig(n_trials=1)
    lists = baseline_lists(ratings, splits, config).lists.filter(model="recent_popularity").sort("user_id", "rank")
    for name, asked in questions_of(ratings, splits).items():
        start = splits.fit_end(name) - config.recent_window_days * tiny_world.DAY
        likes = fit_ratings(ratings, splits, name).filter((pl.col("rating") >= 4) & (pl.col("timestamp") >= start))
        counts = dict(likes.group_by("item_id").len().iter_rows())
        for one in asked:
            for _, own in own_of(lists, one).group_by("user_id", maintain_order=True):
                recent = [counts.get(item, 0) for item in own["item_id"].to_list()]
                assert recent == sorted(recent, reverse=True)


def test_all_baselines_get_the_same_number_of_trials(made: BaselineLists) -> None:
    assert made.trials.group_by("model").len()["len"].unique().to_list() == [CONFIG.n_trials]


@pytest.mark.slow
def test_the_settings_are_chosen_on_the_latest_development_windows_alone(
    made: BaselineLists, ratings: pl.DataFrame, splits: Splits
) -> None:
    """Without the targets of any other window the trials are the same; without theirs they are not."""
    tuned_on = splits.development[-CONFIG.n_tuning_windows :]
    assert TEST not in tuned_on
    for windows, is_same in (
        (tuned_on, True),
        ([name for name in splits.evaluation_windows if name not in tuned_on], False),
    ):
        kept = [name for window in windows for name in splits.slices_of(window)]
        targets = splits.targets.filter(pl.col("slice").is_in(kept))
        turned = splits.targets.filter(~pl.col("slice").is_in(kept)).with_columns(item_id=pl.lit(1, pl.Int64))
        blind = replace(splits, targets=pl.concat([targets, turned.unique(["slice", "user_id"])]))
        assert baseline_lists(ratings, blind, CONFIG).trials.equals(made.trials) == is_same


def test_the_targets_of_the_test_are_not_read(
    made: BaselineLists, ratings: pl.DataFrame, splits: Splits, tmp_path: Path
) -> None:
    """Neither in the splits nor in the ratings of the last slice's users, from which they are taken out here."""
    last = splits.slices_of(TEST)[-1]
    targets = splits.targets.filter(slice=last)
    splits.save(tmp_path)
    blind = ratings.join(targets, on=["user_id", "item_id"], how="anti", maintain_order="left")
    again = baseline_lists(blind, Splits.load(tmp_path), CONFIG)
    is_asked = pl.col("protocol") != NEWCOMERS  # who is new and likes something is known from the ratings alone
    assert again.lists.filter(is_asked).equals(made.lists.filter(is_asked))
    assert again.trials.equals(made.trials)


def test_they_survive_the_disk(made: BaselineLists, tmp_path: Path) -> None:
    made.save(tmp_path)
    loaded = BaselineLists.load(tmp_path)
    assert loaded.lists.equals(made.lists)
    assert loaded.trials.equals(made.trials)
