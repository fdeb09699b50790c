"""The same search for every baseline: each gets `n_trials` settings of its grid, judged on development windows.

A baseline left at its defaults is the easiest way to make a new model look good. The grids are beside the models;
each begins with the most promising settings, so that a small budget is spent on them.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from recsys_core.data.histories import Histories
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
from recsys_core.metrics.ranking import ndcg_at_k, recall_at_k
from recsys_core.metrics.relevance import ItemSets, hits_of
from recsys_core.parallel import StopCheck, run_in_parallel

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

    train: Histories  # what was known at fit_end
    fit_end: int  # seconds UTC
    contexts: Histories  # what was known of each validation user when the list was made
    targets: ItemSets  # what each of them went on to like; row by row the users of `contexts`


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One setting of one model and how it did; means over all users with targets."""

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
    """Try the first `n_trials` settings of the grid; the best is that with the highest `selection_metric`.

    Of equal trials the earlier wins. Fields that the grid does not name keep their value.

    Raises:
        DataError: no user has anything to find, so no setting can be told from another.
    """
    if not any(task.targets.counts.any() for task in tasks):
        raise DataError("no user of the development windows has a liked item to find: use fewer, wider windows")
    tries = [partial(_try, baseline, settings, tasks, config) for settings in baseline.grid[: config.n_trials]]
    # iALS sets this limit for itself, but it is one for all threads: the trial that ends first must not lift it.
    with threadpool_limits(limits=1, user_api="blas"):
        trials = tuple(run_in_parallel(tries, at_once=2))
    best = max(trials, key=lambda trial: getattr(trial, config.selection_metric))
    logger.info("%s: best of %d trials is %s", baseline.name, len(trials), best)
    return TuningResult(best=with_settings(config, best.settings), trials=trials)


def tune_all(
    tasks: Sequence[TuningTask], config: BaselinesConfig, baselines: Sequence[Baseline] = BASELINES
) -> TuningResult:
    """Tune every baseline; the best settings of all of them end up in one config."""
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
