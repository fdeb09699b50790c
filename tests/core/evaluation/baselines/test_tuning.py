"""The search: one budget for all, judged on development windows, and on the shipped data EASE beats popularity."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from annotated_types import Le
from pydantic import ValidationError

from recsys_core.data.histories import catalogue_of, histories_of
from recsys_core.data.splits import TEST, Splits, fit_ratings, relevant_items
from recsys_core.errors import DataError
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.ease import fit_ease
from recsys_core.evaluation.baselines.popularity import fit_popularity
from recsys_core.evaluation.baselines.scorer import recommend
from recsys_core.evaluation.baselines.tuning import (
    BASELINES,
    LIST_LENGTH,
    Baseline,
    BaselineLists,
    TuningTask,
    baseline_lists,
    tune,
    tune_all,
    with_settings,
)
from recsys_core.evaluation.protocols import NEWCOMERS, PROTOCOLS, EvaluationQuestions, Questions
from recsys_core.evaluation.schemas import BASELINE_LISTS
from recsys_core.metrics.ranked_lists import ItemSets, hits_of, sets_of
from recsys_core.metrics.ranking import ndcg_at_k
from recsys_core.metrics.uncertainty import paired_difference
from recsys_core.seeding import child
from tests import tiny_world

SHIPPED = Path(__file__).parents[4] / "data_lake" / "raw" / "ml-latest-small-2016.zip"


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
def test_every_grid_holds_the_full_budget_of_different_valid_settings(baseline: Baseline) -> None:
    """As many as anybody may ask for; the default is the first half of them."""
    budget = max(one.le for one in BaselinesConfig.model_fields["n_trials"].metadata if isinstance(one, Le))
    configs = [with_settings(BaselinesConfig(), settings) for settings in baseline.grid]
    assert len(configs) == budget
    assert len(set(map(repr, configs))) == budget
    assert configs[0] == BaselinesConfig()  # the defaults are tried first, also on the smallest budget


def test_all_baselines_get_the_same_number_of_trials(camps_task) -> None:
    for n_trials in (1, 3, 8):
        table = tune_all([camps_task], BaselinesConfig(n_trials=n_trials)).table()
        assert table.group_by("model").len().get_column("len").to_list() == [n_trials] * len(BASELINES)


@pytest.mark.parametrize("metric", ["ndcg_at_10", "recall_at_100"])
def test_the_best_trial_has_the_highest_selection_metric(camps_task, metric: str) -> None:
    result = tune(BASELINES[3], [camps_task], BaselinesConfig(selection_metric=metric))
    best = max(getattr(trial, metric) for trial in result.trials)
    winners = [trial for trial in result.trials if getattr(trial, metric) == best]
    assert with_settings(BaselinesConfig(selection_metric=metric), winners[0].settings) == result.best


def test_personal_models_find_the_two_camps_and_popularity_cannot(camps_task) -> None:
    best = tune_all([camps_task], BaselinesConfig()).table().group_by("model").agg(pl.col("ndcg_at_10").max())
    ndcg = dict(best.iter_rows())
    assert min(ndcg["ease"], ndcg["item_knn"], ndcg["ials"]) > ndcg["popularity"] + 0.1


def test_the_users_of_all_windows_count_alike(camps_task) -> None:
    """Two windows, of which the second has half the users: the mean is over users, not over windows."""
    rows = np.arange(0, camps_task.contexts.n_users, 2)
    half = replace(
        camps_task,
        contexts=camps_task.contexts.select(rows),
        targets=sets_of([camps_task.targets.items[start : start + 2].tolist() for start in 2 * rows]),
    )
    config = BaselinesConfig(n_trials=1)
    of_one, of_half, of_both = (
        tune(BASELINES[3], tasks, config).trials[0] for tasks in ([camps_task], [half], [camps_task, half])
    )
    assert of_both.ndcg_at_10 == pytest.approx((2 * of_one.ndcg_at_10 + of_half.ndcg_at_10) / 3)
    assert of_both.recall_at_100 == pytest.approx((2 * of_one.recall_at_100 + of_half.recall_at_100) / 3)


def test_a_window_without_targets_beside_one_with_some_is_no_fault(camps_task) -> None:
    nothing_to_find = replace(camps_task, targets=sets_of([[]] * camps_task.contexts.n_users))
    config = BaselinesConfig(n_trials=2)
    assert tune(BASELINES[0], [nothing_to_find, camps_task], config) == tune(BASELINES[0], [camps_task], config)


def test_a_setting_out_of_bounds_or_unknown_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        with_settings(BaselinesConfig(), {"ease_l2": 0.0})
    with pytest.raises(ValidationError, match="Extra inputs"):
        with_settings(BaselinesConfig(), {"ease_lambda": 1.0})


def test_windows_without_targets_are_refused(camps_task) -> None:
    nothing_to_find = replace(camps_task, targets=sets_of([[]] * camps_task.contexts.n_users))
    with pytest.raises(DataError, match="no user of the development windows"):
        tune(BASELINES[0], [nothing_to_find], BaselinesConfig())


@pytest.fixture(scope="module")
def shipped_task() -> TuningTask:
    """Fit before the 80 % quantile of time; context: all before it and the first half of what follows up to 90 %."""
    with zipfile.ZipFile(SHIPPED) as archive:
        text = io.BytesIO(archive.read("ml-latest-small/ratings.csv"))
    ratings = pl.read_csv(text, new_columns=["user_id", "item_id", "rating", "timestamp"])
    ratings = ratings.with_columns(pl.col("rating").cast(pl.Float32))
    fit_end, until = (int(ratings["timestamp"].quantile(share, "lower")) for share in (0.8, 0.9))
    train = ratings.filter(pl.col("timestamp") < fit_end)
    late = ratings.filter(pl.col("timestamp").is_between(fit_end, until, closed="left"))
    middle = pl.col("timestamp").median().over("user_id")
    context = pl.concat([train, late.filter(pl.col("timestamp") < middle)])
    targets = late.filter(pl.col("timestamp") >= middle, pl.col("rating") >= 4)
    catalogue, users = catalogue_of(train), targets["user_id"].unique().sort().to_numpy()
    relevant = relevant_items(targets, users)
    return TuningTask(
        train=histories_of(train, catalogue),
        fit_end=fit_end,
        contexts=histories_of(context, catalogue, users),
        targets=ItemSets(offsets=relevant.offsets, items=catalogue.idx_of(relevant.items)),
    )


def test_on_the_shipped_data_ease_beats_popularity_beyond_chance(shipped_task: TuningTask) -> None:
    config = BaselinesConfig()
    values = []
    for scorer in (fit_ease(shipped_task.train, config), fit_popularity(shipped_task.train, config)):
        hits = hits_of(recommend(scorer, shipped_task.contexts, k=100), shipped_task.targets)
        values.append(ndcg_at_k(hits, shipped_task.targets.counts))
    gain = paired_difference(*values, child(17, "ease", "popularity"))
    assert gain.n == shipped_task.contexts.n_users > 50
    assert gain.low > 0


def test_on_the_shipped_data_recent_beats_all_time_popularity_in_recall(shipped_task: TuningTask) -> None:
    all_time, recent = (
        tune(baseline, [shipped_task], BaselinesConfig(n_trials=1)).trials[0] for baseline in BASELINES[:2]
    )
    assert recent.recall_at_100 > all_time.recall_at_100 > 0.1
    assert np.isfinite([recent.ndcg_at_10, all_time.ndcg_at_10]).all()


def test_every_report_has_the_five_baselines_that_the_docs_promise() -> None:
    names = [baseline.name for baseline in BASELINES]
    assert names == ["popularity", "recent_popularity", "item_knn", "ease", "ials"]


CONFIG = BaselinesConfig(n_trials=2)


@pytest.fixture(scope="module")
def made(ratings: pl.DataFrame, splits: Splits) -> BaselineLists:
    return baseline_lists(ratings, splits, CONFIG)


def questions_of(ratings: pl.DataFrame, splits: Splits) -> dict[str, list[Questions]]:
    evaluation = EvaluationQuestions.of(ratings, splits)
    return {name: evaluation.questions(name) for name in evaluation.slices}


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


def test_the_lists_of_all_baselines_took_the_same_number_of_trials(made: BaselineLists) -> None:
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
