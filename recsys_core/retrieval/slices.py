"""One retriever per slice, along the chain: each starts from the weights of the one before it.

A ranker must learn from scores like those that it will meet: of a retriever that has not seen what the user does next.
So each slice gets one that is fitted on nothing but what its models may see. A slice may see all that the slice before
it may see, and so its towers go on from there: most of what they need to know has been learned.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import polars as pl
from threadpoolctl import threadpool_limits

from recsys_core.data.histories import Catalogue, histories_of
from recsys_core.data.ratings_table import ratings_digest
from recsys_core.data.splits import Splits, fit_ratings
from recsys_core.features.tables import of_slice
from recsys_core.parallel import POLL_S, StopCheck, run_in_parallel
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.training import (
    AfterEpoch,
    LinearParts,
    RetrievalModel,
    TrainingCallbacks,
    TrainingExtras,
    fit_linear_parts,
    fit_retrieval_model,
)


def fit_retrieval_models(
    ratings: pl.DataFrame,
    items: pl.DataFrame,
    splits: Splits,
    config: TwoTowerConfig,
    watch: Callable[[str], AfterEpoch | None] | None = None,
    clicks: pl.DataFrame | None = None,
) -> dict[str, RetrievalModel]:
    """A retriever for each slice, by name, in the order of the chain.

    Args:
        ratings: RATINGS columns, every rating that was ever given.
        items: `item_features_by_slice`.
        splits: the cut-offs; what a slice may see contains what the slice before it may see.
        config: the same for all.
        watch: told the name of each slice before its training; what it returns, if anything, looks at that tower.
        clicks: IMPLICIT_COLUMNS, if any: asked for in training as far as a slice's models may know them.
    """
    chain = _Chain(ratings=ratings, items=items, splits=splits, config=config, watch=watch, clicks=clicks)
    # Each training sets this limit for itself, but it is one for all threads: who ends first must not lift it.
    with threadpool_limits(limits=config.n_threads, user_api="blas"):
        tasks: list[Callable[[StopCheck], None]] = [partial(chain.fit_linear, name) for name in splits.names]
        run_in_parallel([chain.train, *tasks], at_once=2)
    return chain.models


def fitted_digest(ratings: pl.DataFrame, clicks: pl.DataFrame | None, splits: Splits, name: str) -> str:
    """The digest of what models of a slice may be fitted on."""
    known = None if clicks is None else fit_ratings(clicks, splits, name)
    return ratings_digest(fit_ratings(ratings, splits, name), known)


@dataclass(kw_only=True)
class _Chain:
    """Training in one thread; in the other the linear parts, a little ahead, which the training only passes on."""

    ratings: pl.DataFrame
    items: pl.DataFrame
    splits: Splits
    config: TwoTowerConfig
    watch: Callable[[str], AfterEpoch | None] | None
    clicks: pl.DataFrame | None
    models: dict[str, RetrievalModel] = field(default_factory=dict)
    _linear: dict[str, LinearParts] = field(default_factory=dict)
    _is_fitted: threading.Condition = field(default_factory=threading.Condition)

    def train(self, check: StopCheck) -> None:
        """Every tower, one after the other."""
        start = None
        for name in self.splits.names:
            look = None if self.watch is None else self.watch(name)
            start = self.models[name] = fit_retrieval_model(
                fit_ratings(self.ratings, self.splits, name),
                of_slice(self.items, name),
                self.splits.fit_end(name),
                self.config,
                TrainingCallbacks(after_step=lambda _done, _total: check(), after_epoch=look),
                TrainingExtras(start=start, clicks=self._clicks_of(name), linear=self._linear_of(name, check)),
            )

    def fit_linear(self, name: str, check: StopCheck) -> None:
        """The linear parts of one slice."""
        check()
        catalogue = Catalogue(item_ids=of_slice(self.items, name)["item_id"].to_numpy())
        users = histories_of(fit_ratings(self.ratings, self.splits, name), catalogue)
        parts = fit_linear_parts(users, self.splits.fit_end(name), self.config)
        with self._is_fitted:
            self._linear[name] = parts
            self._is_fitted.notify_all()

    def _linear_of(self, name: str, check: StopCheck) -> LinearParts:
        with self._is_fitted:
            while name not in self._linear:
                check()
                self._is_fitted.wait(POLL_S)
            return self._linear.pop(name)

    def _clicks_of(self, name: str) -> pl.DataFrame | None:
        return None if self.clicks is None else fit_ratings(self.clicks, self.splits, name)
