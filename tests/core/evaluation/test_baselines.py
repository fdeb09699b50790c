"""Baselines by our protocol: tuned before the test, listed for its users."""

from pathlib import Path

import polars as pl
import pytest

from recsys_core.data.config import SplitsConfig
from recsys_core.data.slicing import make_splits
from recsys_core.data.splits import TEST, Splits, fit_ratings, known_ratings
from recsys_core.evaluation.baselines import LIST_LENGTH, BaselineLists, baseline_lists
from recsys_core.evaluation.lists import RANKED_LISTS
from recsys_core.retrieval.baselines.config import BaselinesConfig
from recsys_core.retrieval.baselines.tuning import BASELINES
from tests import tiny_world

CONFIG = BaselinesConfig(n_trials=2)


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return tiny_world.ratings()


@pytest.fixture(scope="module")
def splits(ratings: pl.DataFrame) -> Splits:
    return make_splits(ratings, SplitsConfig())


@pytest.fixture(scope="module")
def made(ratings: pl.DataFrame, splits: Splits) -> BaselineLists:
    return baseline_lists(ratings, splits, CONFIG)


def test_every_baseline_lists_every_test_user(made: BaselineLists, splits: Splits) -> None:
    assert made.lists["model"].unique(maintain_order=True).to_list() == [baseline.name for baseline in BASELINES]
    for (model,), own in made.lists.group_by("model"):
        assert own["user_id"].unique().sort().to_list() == splits.users_of(TEST).tolist(), model
    RANKED_LISTS.validate(made.lists)


def test_each_list_holds_all_that_may_be_recommended(
    made: BaselineLists, ratings: pl.DataFrame, splits: Splits
) -> None:
    """Fewer than 200 items here: hence all of the catalogue but what the user has seen, ranked from 1."""
    catalogue = set(fit_ratings(ratings, splits, TEST)["item_id"].to_list())
    known = known_ratings(ratings, splits, TEST)
    assert len(catalogue) < LIST_LENGTH
    for (_, user_id), own in made.lists.group_by("model", "user_id"):
        seen = set(known.filter(user_id=user_id)["item_id"].to_list())
        assert set(own["item_id"].to_list()) == catalogue - seen
        assert sorted(own["rank"].to_list()) == list(range(1, own.height + 1))


def test_the_window_of_recent_popularity_ends_with_the_fit_of_the_test(ratings: pl.DataFrame, splits: Splits) -> None:
    config = BaselinesConfig(n_trials=1)
    start = splits.fit_end(TEST) - config.recent_window_days * tiny_world.DAY
    likes = fit_ratings(ratings, splits, TEST).filter((pl.col("rating") >= 4) & (pl.col("timestamp") >= start))
    counts = dict(likes.group_by("item_id").len().iter_rows())
    lists = baseline_lists(ratings, splits, config).lists.filter(model="recent_popularity").sort("user_id", "rank")
    for _, own in lists.group_by("user_id"):
        recent = [counts.get(item, 0) for item in own["item_id"].to_list()]
        assert recent == sorted(recent, reverse=True)


def test_all_baselines_get_the_same_number_of_trials(made: BaselineLists) -> None:
    assert made.trials.group_by("model").len()["len"].unique().to_list() == [CONFIG.n_trials]


def test_neither_the_tests_targets_nor_anything_later_is_read(
    made: BaselineLists, ratings: pl.DataFrame, splits: Splits, tmp_path: Path
) -> None:
    """Neither in the splits nor in the ratings, from which they are taken out here."""
    targets = splits.targets.filter(slice=TEST)
    splits.save(tmp_path)
    blind = ratings.join(targets, on=["user_id", "item_id"], how="anti", maintain_order="left")
    again = baseline_lists(blind, Splits.load(tmp_path), CONFIG)
    assert again.lists.equals(made.lists)
    assert again.trials.equals(made.trials)


def test_they_survive_the_disk(made: BaselineLists, tmp_path: Path) -> None:
    made.save(tmp_path)
    loaded = BaselineLists.load(tmp_path)
    assert loaded.lists.equals(made.lists)
    assert loaded.trials.equals(made.trials)
