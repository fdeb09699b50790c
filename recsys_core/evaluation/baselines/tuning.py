"""The baselines by our protocol: tuned on the development windows, refitted for each slice, listed for its users.

Every baseline gets the same search: `n_trials` settings of its grid. A baseline left at its defaults is the easiest way
to make a new model look good. The grids are beside the models; each begins with the most promising settings, so that a
small budget is spent on them.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from recsys_core.data.histories import Catalogue, Histories, catalogue_of, histories_of
from recsys_core.data.splits import Splits, fit_ratings, relevant_items
from recsys_core.errors import DataError
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.ease import EASE_GRID, fit_ease
from recsys_core.evaluation.baselines.ials import IALS_GRID, fit_ials
from recsys_core.evaluation.baselines.item_knn import ITEM_KNN_GRID, fit_item_knn
from recsys_core.evaluation.baselines.popularity import (
    POPULARITY_GRID,
    RECENT_GRID,
    fit_popularity,
    fit_recent_popularity,
)
from recsys_core.evaluation.baselines.scorer import Scorer, recommend
from recsys_core.evaluation.protocols import FROZEN, RANKED_LISTS_COLUMNS, EvaluationQuestions, lists_table, of_window
from recsys_core.metrics.ranked_lists import ItemSets, hits_of, tie_break_order
from recsys_core.metrics.ranking import ndcg_at_k, recall_at_k
from recsys_core.parallel import StopCheck, run_in_parallel
from recsys_core.tables import load_tables, save_tables

logger = logging.getLogger(__name__)

Settings = Mapping[str, str | float]
"""Some fields of `BaselinesConfig` and their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A model by name: how it is fitted (train, config, fit_end) and which settings may be tried."""

    name: str
    fit: Callable[[Histories, BaselinesConfig, int], Scorer]
    grid: Sequence[Settings]


BASELINES = (
    Baseline(name="popularity", fit=lambda train, config, _: fit_popularity(train, config), grid=POPULARITY_GRID),
    Baseline(
        name="recent_popularity",
        fit=lambda train, config, fit_end: fit_recent_popularity(train, config, fit_end=fit_end),
        grid=RECENT_GRID,
    ),
    Baseline(name="item_knn", fit=lambda train, config, _: fit_item_knn(train, config), grid=ITEM_KNN_GRID),
    Baseline(name="ease", fit=lambda train, config, _: fit_ease(train, config), grid=EASE_GRID),
    Baseline(name="ials", fit=lambda train, config, _: fit_ials(train, config), grid=IALS_GRID),
)
"""Every baseline of the project: reports show them all, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningTask:
    """Training data and targets of one window, all before the last two windows."""

    train: Histories  # ratings known at fit_end
    fit_end: int  # seconds UTC
    contexts: Histories  # known ratings of each validation user when the list is made
    targets: ItemSets  # items that each of them liked later; row by row the users of `contexts`


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One setting of one model and its metrics: means over all users with targets."""

    model: str
    settings: Settings
    ndcg_at_10: float
    recall_at_100: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningResult:
    """The best settings found, and all that were tried."""

    best: BaselinesConfig
    trials: tuple[Trial, ...]

    def table(self) -> pl.DataFrame:
        """One row per trial in the order tried: model, settings (JSON), ndcg_at_10, recall_at_100."""
        return pl.DataFrame(
            {
                "model": [trial.model for trial in self.trials],
                "settings": [json.dumps(dict(trial.settings), sort_keys=True) for trial in self.trials],
                "ndcg_at_10": [trial.ndcg_at_10 for trial in self.trials],
                "recall_at_100": [trial.recall_at_100 for trial in self.trials],
            },
            schema={"model": pl.String, "settings": pl.String, "ndcg_at_10": pl.Float64, "recall_at_100": pl.Float64},
        )


def tune(baseline: Baseline, tasks: Sequence[TuningTask], config: BaselinesConfig) -> TuningResult:
    """Try the first `n_trials` settings of the grid; the best has the highest `selection_metric`.

    Of equal trials the earlier wins. Fields that the grid does not name keep their value.

    Raises:
        DataError: no user has any target, so that all settings are equal.
    """
    if not any(task.targets.counts.any() for task in tasks):
        raise DataError("no user of the development windows has a liked item to find: use fewer, wider windows")
    tries = [partial(_try, baseline, settings, tasks, config) for settings in baseline.grid[: config.n_trials]]
    # iALS sets this limit itself, but the limit is global: the trial that ends first must not lift it.
    with threadpool_limits(limits=1, user_api="blas"):
        trials = tuple(run_in_parallel(tries, at_once=2))
    best = max(trials, key=lambda trial: getattr(trial, config.selection_metric))
    logger.info("%s: best of %d trials is %s", baseline.name, len(trials), best)
    return TuningResult(best=with_settings(config, best.settings), trials=trials)


def tune_all(
    tasks: Sequence[TuningTask], config: BaselinesConfig, baselines: Sequence[Baseline] = BASELINES
) -> TuningResult:
    """Tune every baseline, and put the best settings of all of them into one config."""
    trials: tuple[Trial, ...] = ()
    for baseline in baselines:
        result = tune(baseline, tasks, config)
        config, trials = result.best, trials + result.trials
    return TuningResult(best=config, trials=trials)


def with_settings(config: BaselinesConfig, settings: Settings) -> BaselinesConfig:
    """The config with some fields replaced, and checked again."""
    return BaselinesConfig.model_validate({**config.model_dump(), **settings})


def _try(
    baseline: Baseline, settings: Settings, tasks: Sequence[TuningTask], config: BaselinesConfig, check: StopCheck
) -> Trial:
    ndcg, recall = [], []
    for task in tasks:
        check()
        scorer = baseline.fit(task.train, with_settings(config, settings), task.fit_end)
        hits = hits_of(recommend(scorer, task.contexts, k=100), task.targets)
        ndcg.append(ndcg_at_k(hits[:, :10], task.targets.counts))
        recall.append(recall_at_k(hits, task.targets.counts))
    return Trial(
        model=baseline.name,
        settings=settings,
        ndcg_at_10=float(np.nanmean(np.concatenate(ndcg))),
        recall_at_100=float(np.nanmean(np.concatenate(recall))),
    )


LIST_LENGTH = 200

_NO_LISTS = pl.DataFrame(schema={"protocol": pl.String(), "window": pl.String(), **RANKED_LISTS_COLUMNS})


@dataclass(frozen=True, kw_only=True)
class BaselineLists:
    """The lists of the baselines, and their tuning.

    Attributes:
        lists: protocol, window, then RANKED_LISTS for the users of every evaluation window, 200 places each.
        trials: every setting tried, with its figures on the development windows (`TuningResult.table`).
    """

    lists: pl.DataFrame
    trials: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write both tables."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "BaselineLists":
        """Read both tables."""
        return load_tables(cls, folder)


def baseline_lists(ratings: pl.DataFrame, splits: Splits, config: BaselinesConfig) -> BaselineLists:
    """Tune and fit every baseline, and make its lists, without reading the targets of the test.

    Args:
        ratings: RATINGS columns, every rating that was ever given.
        splits: with the targets of the development windows.
        config: budget of the search.
    """
    windows = splits.development[-config.n_tuning_windows :]
    tuned = tune_all([_tuning_task(ratings, splits, window) for window in windows], config)
    evaluation = EvaluationQuestions.of(ratings, splits)
    tasks = [partial(_lists_of, evaluation, name, tuned.best) for name in evaluation.slices]
    return BaselineLists(lists=pl.concat(run_in_parallel(tasks, at_once=2)), trials=tuned.table())


def _lists_of(evaluation: EvaluationQuestions, name: str, config: BaselinesConfig, check: StopCheck) -> pl.DataFrame:
    """protocol, window, RANKED_LISTS of the users whom the models of a slice answer."""
    train, catalogue = _fit_data(evaluation.ratings, evaluation.splits, name)
    tie_break, tables = tie_break_order(catalogue.item_ids), [_NO_LISTS]
    asked = evaluation.questions(name)
    for baseline in BASELINES if asked else ():
        check()
        scorer = baseline.fit(train, config, evaluation.splits.fit_end(name))
        for one in asked:
            contexts = histories_of(one.known, catalogue, one.requests["user_id"].to_numpy())
            ranked = recommend(scorer, contexts, LIST_LENGTH, tie_break=tie_break)
            tables.append(of_window(one, lists_table(baseline.name, contexts.user_ids, ranked, catalogue)))
    return pl.concat(tables)


def _tuning_task(ratings: pl.DataFrame, splits: Splits, window: str) -> TuningTask:
    """The data known at the beginning of a window, and the later likes of all of its users."""
    first = splits.slices_of(window)[0]
    train, catalogue = _fit_data(ratings, splits, first)
    (asked,) = [one for one in EvaluationQuestions.of(ratings, splits).questions(first) if one.protocol == FROZEN]
    user_ids = asked.requests["user_id"].to_numpy()
    targets = relevant_items(asked.targets, user_ids)
    item_idx = catalogue.idx_of(targets.items)
    # A target outside the catalogue gets a number that no list can hold: it stays in the denominator as a miss.
    numbers = np.where(item_idx >= 0, item_idx, catalogue.n_items + np.arange(len(item_idx)))
    return TuningTask(
        train=train,
        fit_end=splits.fit_end(first),
        contexts=histories_of(asked.known, catalogue, user_ids),
        targets=ItemSets(offsets=targets.offsets, items=numbers),
    )


def _fit_data(ratings: pl.DataFrame, splits: Splits, name: str) -> tuple[Histories, Catalogue]:
    """The ratings that a slice's models are fitted on, and their catalogue."""
    known = fit_ratings(ratings, splits, name)
    catalogue = catalogue_of(known)
    return histories_of(known, catalogue), catalogue
