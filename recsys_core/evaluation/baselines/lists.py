"""The baselines by our protocol: tuned on the development windows, refitted for each slice, listed for its users."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.data.histories import Catalogue, Histories, catalogue_of, histories_of
from recsys_core.data.splits import Splits, fit_ratings, relevant_items
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.scorer import recommend
from recsys_core.evaluation.baselines.tuning import BASELINES, TuningTask, tune_all
from recsys_core.evaluation.lists import RANKED_LISTS_COLUMNS, lists_table, of_window
from recsys_core.evaluation.protocols import FROZEN, Examination
from recsys_core.metrics.ordering import tie_break_order
from recsys_core.metrics.relevance import ItemSets
from recsys_core.parallel import StopCheck, run_in_parallel
from recsys_core.tables import load_tables, save_tables

LIST_LENGTH = 200

_NO_LISTS = pl.DataFrame(schema={"protocol": pl.String(), "window": pl.String(), **RANKED_LISTS_COLUMNS})


@dataclass(frozen=True, kw_only=True)
class BaselineLists:
    """The lists of the baselines, and their tuning.

    Attributes:
        lists: protocol, window, then RANKED_LISTS for the users of every window that examines, 200 places each.
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
    """Tune, fit and list every baseline. The test's targets are not needed, and so not read.

    Args:
        ratings: RATINGS columns, every rating that was ever given.
        splits: with the targets of the development windows.
        config: budget of the search.
    """
    windows = splits.development[-config.n_tuning_windows :]
    tuned = tune_all([_tuning_task(ratings, splits, window) for window in windows], config)
    examination = Examination.of(ratings, splits)
    tasks = [partial(_lists_of, examination, name, tuned.best) for name in examination.slices]
    return BaselineLists(lists=pl.concat(run_in_parallel(tasks, at_once=2)), trials=tuned.table())


def _lists_of(examination: Examination, name: str, config: BaselinesConfig, check: StopCheck) -> pl.DataFrame:
    """protocol, window, RANKED_LISTS of the users whom the models of a slice answer."""
    train, catalogue = _fit_data(examination.ratings, examination.splits, name)
    tie_break, tables = tie_break_order(catalogue.item_ids), [_NO_LISTS]
    asked = examination.questions(name)
    for baseline in BASELINES if asked else ():
        check()
        scorer = baseline.fit(train, config, examination.splits.fit_end(name))
        for one in asked:
            contexts = histories_of(one.known, catalogue, one.requests["user_id"].to_numpy())
            ranked = recommend(scorer, contexts, LIST_LENGTH, tie_break=tie_break)
            tables.append(of_window(one, lists_table(baseline.name, contexts.user_ids, ranked, catalogue)))
    return pl.concat(tables)


def _tuning_task(ratings: pl.DataFrame, splits: Splits, window: str) -> TuningTask:
    """The data known at the beginning of a window, and the later likes of all of its users."""
    first = splits.slices_of(window)[0]
    train, catalogue = _fit_data(ratings, splits, first)
    (asked,) = [one for one in Examination.of(ratings, splits).questions(first) if one.protocol == FROZEN]
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
