"""The baselines by our protocol: tuned on the validation slice, fitted anew before the test, listed for its users."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.data.histories import Catalogue, Histories, catalogue_of, histories_of
from recsys_core.data.splits import TEST, VALIDATION, Splits, fit_ratings, known_ratings, relevant_items
from recsys_core.evaluation.lists import lists_table
from recsys_core.metrics.ordering import tie_break_order
from recsys_core.metrics.relevance import ItemSets
from recsys_core.retrieval.baselines.config import BaselinesConfig
from recsys_core.retrieval.baselines.recommend import recommend
from recsys_core.retrieval.baselines.tuning import BASELINES, ValidationTask, tune_all
from recsys_core.tables import load_tables, save_tables

LIST_LENGTH = 200


@dataclass(frozen=True, kw_only=True)
class BaselineLists:
    """What the baselines hand in.

    Attributes:
        lists: RANKED_LISTS for the test users, 200 places each.
        trials: every setting tried, with its validation figures (`TuningResult.table`).
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
    """Tune, fit and list every baseline. The test's targets are not needed, and so not read."""
    tuned = tune_all(_validation_task(ratings, splits), config)
    train, contexts, catalogue = _slice(ratings, splits, TEST)
    tie_break = tie_break_order(catalogue.item_ids)
    lists = []
    for baseline in BASELINES:
        scorer = baseline.fit(train, tuned.best, splits.fit_end(TEST))
        ranked = recommend(scorer, contexts, LIST_LENGTH, tie_break=tie_break)
        lists.append(lists_table(baseline.name, contexts.user_ids, ranked, catalogue))
    return BaselineLists(lists=pl.concat(lists), trials=tuned.table())


def _validation_task(ratings: pl.DataFrame, splits: Splits) -> ValidationTask:
    train, contexts, catalogue = _slice(ratings, splits, VALIDATION)
    targets = relevant_items(splits.targets.filter(slice=VALIDATION), contexts.user_ids)
    item_idx = catalogue.idx_of(targets.items)
    # A target outside the catalogue gets a number that no list can hold: it stays in the denominator as a miss.
    numbers = np.where(item_idx >= 0, item_idx, catalogue.n_items + np.arange(len(item_idx)))
    return ValidationTask(
        train=train,
        fit_end=splits.fit_end(VALIDATION),
        contexts=contexts,
        targets=ItemSets(offsets=targets.offsets, items=numbers),
    )


def _slice(ratings: pl.DataFrame, splits: Splits, name: str) -> tuple[Histories, Histories, Catalogue]:
    """What a slice's models are fitted on, what its users showed, and the items both are numbered by."""
    known = fit_ratings(ratings, splits, name)
    catalogue = catalogue_of(known)
    contexts = histories_of(known_ratings(ratings, splits, name), catalogue, splits.users_of(name))
    return histories_of(known, catalogue), contexts, catalogue
