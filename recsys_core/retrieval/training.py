"""Train retrieval models: one on the ratings before a cut-off, or one per slice along the chain.

The ranker must be trained on scores of retrieval models that have not seen the targets. So each slice gets a model that
is fitted only on the ratings that models of the slice may see. A slice may see all that the slice before it may see,
so each training starts from the weights of the one before.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import polars as pl
import torch
from threadpoolctl import threadpool_limits

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import NEVER, Catalogue, Histories, first_rated_at, histories_of
from recsys_core.data.ratings_table import ratings_digest
from recsys_core.data.splits import Splits, fit_ratings
from recsys_core.features.item_inputs import content_matrix
from recsys_core.features.neighbours import fit_neighbours
from recsys_core.features.tables import of_slice
from recsys_core.parallel import POLL_S, StopCheck, run_in_parallel
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.covisits import fit_covisits
from recsys_core.retrieval.ease import fit_ease_factors
from recsys_core.retrieval.examples import Examples, clicked_targets, denoising, temporal, with_clicks
from recsys_core.retrieval.losses import Negatives, full_softmax, sampled_softmax, sampler_of
from recsys_core.retrieval.model import LinearParts, RetrievalModel
from recsys_core.retrieval.rating_model import fit_rating_model
from recsys_core.retrieval.towers import (
    TwoTower,
    encode_items,
    history_batch,
    standardised_log_popularity,
    user_encoder,
)
from recsys_core.retrieval.trend import fit_trend
from recsys_core.seeding import child, child_seed

logger = logging.getLogger(__name__)

AfterStep = Callable[[int, int], None]
"""Called with (steps done, total steps)."""

_TORCH_RNG_LOCK = threading.Lock()
"""Layers of torch draw their initial weights from the global generator, whose state all threads share."""


AfterEpoch = Callable[[int, RetrievalModel], None]
"""Called with (epochs done, the model so far)."""


@dataclass(frozen=True, kw_only=True)
class TrainingCallbacks:
    """Callbacks during training. They may use torch's RNG without affecting training."""

    after_step: AfterStep | None = None
    after_epoch: AfterEpoch | None = None

    def stepped(self, done: int, n_steps: int) -> None:
        """Called after each step."""
        if self.after_step is not None:
            self.after_step(done, n_steps)

    def passed(self, epoch: int, snapshot: Callable[[], RetrievalModel]) -> None:
        """Called after each epoch with a function that gives the model as it is then."""
        if self.after_epoch is not None:
            with _TORCH_RNG_LOCK, torch.random.fork_rng(devices=[]):
                self.after_epoch(epoch, snapshot())


NO_CALLBACKS = TrainingCallbacks()


@dataclass(frozen=True, kw_only=True)
class TrainingExtras:
    """Optional inputs of a training.

    Attributes:
        start: an earlier training on a part of the same ratings; this one continues from its weights.
        clicks: IMPLICIT_COLUMNS; rows at or after the cut-off are ignored, and so are clicks on what the user rated and
            those of users with fewer than two ratings. They are targets in training and have no other use.
        linear: the linear parts, if they are fitted already.
    """

    start: "Trained | None" = None
    clicks: pl.DataFrame | None = None
    linear: LinearParts | None = None

    def clicks_before(self, fit_end: int) -> pl.DataFrame | None:
        """The clicks before a second; None where there are none."""
        if self.clicks is None:
            return None
        known = self.clicks.filter(pl.col("timestamp") < fit_end)
        return None if known.is_empty() else known


NO_EXTRAS = TrainingExtras()


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model and its towers: a later training continues from their weights."""

    model: RetrievalModel
    towers: TwoTower


def train_retrieval_model(
    ratings: pl.DataFrame,
    items: pl.DataFrame,
    fit_end: int,
    config: TwoTowerConfig,
    callbacks: TrainingCallbacks = NO_CALLBACKS,
    extras: TrainingExtras = NO_EXTRAS,
) -> Trained:
    """Train both towers on the ratings before `fit_end`, with a full or sampled softmax over the catalogue.

    An item that had no rating at the time of a training example is no negative of this example.

    Args:
        ratings: RATINGS columns, one row per user and item; rows at or after `fit_end` are ignored.
        items: `item_features` as of `fit_end`: the catalogue, with genres, year and likes so far. An item without
            ratings is described by its content alone.
        fit_end: seconds UTC.
        config: shape and schedule.
        callbacks: called during the training.
        extras: clicks, an earlier training to start from, and linear parts that are fitted already.

    The same inputs, settings, thread count and version of torch give the same weights to the bit on one machine, even
    if other models are trained in the same process at the same time.
    """
    catalogue = Catalogue(item_ids=items["item_id"].to_numpy())
    seen, clicks = ratings.filter(pl.col("timestamp") < fit_end), extras.clicks_before(fit_end)
    fitted_on = ratings_digest(seen, clicks)
    users = histories_of(seen, catalogue)
    linear = extras.linear or fit_linear_parts(users, fit_end, config)
    schedule = Schedule.of(config, is_refit=extras.start is not None)
    users = users.select(np.flatnonzero(users.lengths >= 2))  # one rating cannot be both input and target
    with _threads(config.n_threads):
        towers, torch_rng = _untrained(items, config)
        if extras.start is not None:
            towers.start_from(extras.start.towers, catalogue.idx_of(extras.start.model.catalogue.item_ids))
        first = first_rated_at(seen, catalogue)
        towers.forget(np.flatnonzero(first == NEVER))  # no gradient reaches them, since they are no negatives either

        def snapshot(losses: Float32s) -> RetrievalModel:
            return RetrievalModel(
                user_encoder=user_encoder(towers),
                trained_items=encode_items(towers),
                linear=linear,
                ease_weight=config.closed_form_weight,
                catalogue=catalogue,
                first_rated_at=first,
                new_item_share=config.new_item_share,
                fit_end=fit_end,
                fitted_on=fitted_on,
                losses=losses,
            )

        clicked = clicked_targets(clicks, seen, users, catalogue)
        data = TrainingData(users=users, clicked=clicked, torch_rng=torch_rng, first_rated_at=first)
        losses = _train(towers, data, config, schedule, callbacks, snapshot)
    return Trained(model=snapshot(losses), towers=towers.eval())


def fit_linear_parts(users: Histories, fit_end: int, config: TwoTowerConfig) -> LinearParts:
    """All parts without gradient training, from the histories of all users before `fit_end` (seconds UTC)."""
    return LinearParts(
        ease=fit_ease_factors(users, config),
        trend=fit_trend(users, config),
        rating_model=fit_rating_model(users, config),
        covisits=fit_covisits(users),
        neighbours=fit_neighbours(users, fit_end),
    )


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Ratings, clicks of the same users on unrated items (weights in place of stars), and the random generator."""

    users: Histories
    clicked: Histories | None = None
    torch_rng: torch.Generator
    first_rated_at: Int64s | None = None  # (n_items,) seconds UTC


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Epochs and learning rate: a refit needs less of both."""

    n_epochs: int
    learning_rate: float

    @classmethod
    def of(cls, config: TwoTowerConfig, *, is_refit: bool) -> "Schedule":
        """The schedule of a first training, or of one that starts from an earlier one."""
        if is_refit:
            return cls(n_epochs=config.refit_epochs, learning_rate=config.refit_learning_rate)
        return cls(n_epochs=config.n_epochs, learning_rate=config.learning_rate)


def _untrained(items: pl.DataFrame, config: TwoTowerConfig) -> tuple[TwoTower, torch.Generator]:
    """Initial towers, and the generator of their training, which continues where the initial draws ended."""
    popularity = standardised_log_popularity(items["n_likes"].to_numpy())
    with _TORCH_RNG_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(child_seed(config.seed, "two_tower", "torch"))
        towers = TwoTower(content_matrix(items), popularity, config.dim)
        return towers, torch.Generator().set_state(torch.get_rng_state())


def _train(
    towers: TwoTower,
    data: TrainingData,
    config: TwoTowerConfig,
    schedule: Schedule,
    callbacks: TrainingCallbacks,
    snapshot: Callable[[Float32s], RetrievalModel],
) -> Float32s:
    """Train the towers in place; returns the mean loss of every epoch."""
    users, torch_rng = data.users, data.torch_rng
    sampler = sampler_of(users, config.n_negatives) if users.n_items > config.full_softmax_until else None
    optimisers = _optimisers(towers, schedule.learning_rate, sparse=sampler is not None)
    n_steps = schedule.n_epochs * max(1, -(-users.n_users // config.batch_users))
    rates = [torch.optim.lr_scheduler.LambdaLR(one, lambda step: 1 - step / n_steps) for one in optimisers]
    losses = np.zeros(schedule.n_epochs, dtype=np.float32)
    done = 0
    for epoch in range(schedule.n_epochs):
        rng = child(config.seed, "two_tower", "epoch", str(epoch))
        draws = child(config.seed, "two_tower", "negatives", str(epoch))
        batches = list(_batches(data, config, rng))
        for examples in batches:
            loss = _loss(towers, examples, config, torch_rng, sampler.draw(examples, draws) if sampler else None)
            towers.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch ships no annotation for it
            for optimiser, rate in zip(optimisers, rates, strict=True):
                optimiser.step()
                rate.step()
            losses[epoch] += loss.item() / len(batches)
            done += 1
            callbacks.stepped(done, n_steps)
        callbacks.passed(epoch + 1, partial(snapshot, losses))
    logger.info("two-tower trained on %d users: loss %.3f -> %.3f", users.n_users, losses[0], losses[-1])
    return losses


def _optimisers(towers: TwoTower, learning_rate: float, *, sparse: bool) -> list[torch.optim.Optimizer]:
    """Adam; with `sparse`, the item tables get SparseAdam, which updates only the rows that a step used."""
    tables = [towers.rated.weight, towers.offered.weight] if sparse else []
    rest = [one for one in towers.parameters() if not any(one is table for table in tables)]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, lr=learning_rate)]
    if tables:
        optimisers.append(torch.optim.SparseAdam(tables, lr=learning_rate))
    return optimisers


def _batches(data: TrainingData, config: TwoTowerConfig, rng: np.random.Generator) -> Iterator[Examples]:
    """One epoch over the users in random order; each batch is temporal or denoising at random."""
    users, clicked = data.users, data.clicked
    order = rng.permutation(users.n_users)
    for start in range(0, users.n_users, config.batch_users):
        chosen = np.sort(order[start : start + config.batch_users])
        is_temporal = rng.random() < config.temporal_share
        examples = (temporal if is_temporal else denoising)(users.select(chosen), rng)
        examples = replace(examples, first_rated_at=data.first_rated_at)
        yield examples if clicked is None else with_clicks(examples, clicked.select(chosen), only_later=is_temporal)


def _loss(
    towers: TwoTower,
    examples: Examples,
    config: TwoTowerConfig,
    torch_rng: torch.Generator,
    negatives: Negatives | None = None,
) -> torch.Tensor:
    """Cross-entropy of the targets, over the whole catalogue or over sampled negatives."""
    inputs = history_batch(examples.inputs)
    keep = 1 - config.history_dropout
    kept = torch.bernoulli(torch.full((len(inputs.item),), keep), generator=torch_rng) / keep
    vectors = towers.users(inputs, kept, only_needed=negatives is not None)  # (n_users, dim + 1)
    body = _dropout(vectors[:, :-1], config.vector_dropout, torch_rng)
    vectors = torch.cat([body, vectors[:, -1:]], dim=1)
    if negatives is None:
        return full_softmax(vectors, towers.items(), examples, config.other_weight)
    return sampled_softmax(vectors, towers, examples, negatives, config.other_weight)


def _dropout(values: torch.Tensor, share: float, torch_rng: torch.Generator) -> torch.Tensor:
    """Dropout with a given generator; torch's own uses the global one."""
    if not share:
        return values
    return values * torch.empty_like(values).bernoulli_(1 - share, generator=torch_rng).div_(1 - share)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Set torch's number of threads for the block and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fit_retrieval_models(
    ratings: pl.DataFrame,
    items: pl.DataFrame,
    splits: Splits,
    config: TwoTowerConfig,
    watch: Callable[[str], AfterEpoch | None] | None = None,
    clicks: pl.DataFrame | None = None,
) -> dict[str, RetrievalModel]:
    """A retrieval model for each slice, by name, in the order of the chain.

    Args:
        ratings: RATINGS columns, every rating that was ever given.
        items: `item_features_by_slice`.
        splits: the cut-offs; what a slice may see contains what the slice before it may see.
        config: the same for all.
        watch: called with the name of each slice before its training; returns the slice's callback or None.
        clicks: IMPLICIT_COLUMNS, if any; those that a slice's models may see are targets in its training.
    """
    chain = _Chain(ratings=ratings, items=items, splits=splits, config=config, watch=watch, clicks=clicks)
    # The limit belongs to the process: a training that ends first must not lift it for the others.
    with threadpool_limits(limits=config.n_threads, user_api="blas"):
        tasks: list[Callable[[StopCheck], None]] = [partial(chain.fit_linear, name) for name in splits.names]
        run_in_parallel([chain.train, *tasks], at_once=2)
    return chain.models


@dataclass(kw_only=True)
class _Chain:
    """One thread trains the towers; the other fits the linear parts ahead of it."""

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
        """All models, one after the other."""
        start = None
        for name in self.splits.names:
            look = None if self.watch is None else self.watch(name)
            start = train_retrieval_model(
                fit_ratings(self.ratings, self.splits, name),
                of_slice(self.items, name),
                self.splits.fit_end(name),
                self.config,
                TrainingCallbacks(after_step=lambda _done, _total: check(), after_epoch=look),
                TrainingExtras(start=start, clicks=self._clicks_of(name), linear=self._linear_of(name, check)),
            )
            self.models[name] = start.model

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
