"""Fit the stages on one table and list items for the users of another: for benchmarks on external data.

It calls the functions of the assets in the same order: slices, features, retrieval models, index, training rows,
ranker. The protocol decides where the ranker's training rows come from:

- *by time*: users ask after the training data end. Rows come from windows of time, as in the assets, and the models are
  refitted while the users ask, on the ratings known by then.
- *by user*: users are asked about their own latest likes, at any time. Rows come from hold-outs of each user's likes.
"""

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from recsys_core.bench.tables import BenchData, external_ids
from recsys_core.data.config import HoldoutsConfig, SplitsConfig
from recsys_core.data.schemas import LIKED, RATING_STEPS
from recsys_core.data.splits import NOW, Splits, chained, fitted_before, hold_out, make_splits
from recsys_core.errors import DataError
from recsys_core.features.tables import (
    SliceFeatures,
    item_features_by_slice,
    of_slice,
    user_features_by_slice,
)
from recsys_core.ranking.config import RankerConfig
from recsys_core.ranking.inputs import RankingInputs, after_the_last, generate_candidates, generator_of
from recsys_core.ranking.lists import rank
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.ranking.training_rows import examples_of_slices
from recsys_core.retrieval.candidates import Candidates
from recsys_core.retrieval.config import CandidatesConfig, IndexConfig, TwoTowerConfig
from recsys_core.retrieval.model import RetrievalModel
from recsys_core.retrieval.training import AfterEpoch, fit_retrieval_models

logger = logging.getLogger(__name__)

TOLD_EPOCHS = 20

Stage = Literal["retrieval", "ranking"]
Protocol = Literal["auto", "time", "user"]


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """The settings of every stage.

    Attributes:
        holdouts: of the hold-outs of each user's likes, for the protocol by user.
        splits: of the windows of time, for the protocol by time.
        two_tower: of retrieval.
        index: of retrieval.
        candidates: of retrieval.
        ranker: of ranking.
        protocol: 'time', 'user', or 'auto': by time where most users ask after the training data end.
        n_refits: by time, the number of fits while the users ask.
    """

    holdouts: HoldoutsConfig
    splits: SplitsConfig
    two_tower: TwoTowerConfig
    index: IndexConfig
    candidates: CandidatesConfig
    ranker: RankerConfig
    protocol: Protocol = "auto"
    n_refits: int = 6


def ranked_lists(data: BenchData, settings: BenchSettings, stage: Stage, k: int) -> pl.DataFrame:
    """The k best unseen items of every user of the context: user_id, item_id, rank (from 1), score.

    Args:
        data: the training ratings and the users.
        settings: as for the assets.
        stage: 'retrieval' for the order of retrieval, 'ranking' for that of the whole system.
        k: length of the lists; they are shorter where a user has seen nearly everything.

    Without a user whose likes could be held out, or where retrieval finds none of these likes, there is no ranker, and
    the order is that of retrieval; a warning reports it.

    Raises:
        DataError: the protocol by time is requested, and the data have no order in time.
    """
    asked = after_the_last(data.context)
    past, answering, ratings = _chains(data, asked, settings)
    splits = chained(past, answering)  # also for retrieval alone: its models are those of the whole system
    logger.info("fitting retrieval %d times, on %d ratings", len(splits.names), ratings.height)
    items = item_features_by_slice(ratings, data.movies, splits)
    models = fit_retrieval_models(ratings, items, splits, settings.two_tower, watch=_tell_epochs)
    ranker = _ranker(ratings, past, items, models, settings) if stage == "ranking" else None
    starts = np.array([answering.fit_end(name) for name in answering.names])
    # Users who ask before the first models exist are answered by the first models.
    at = np.maximum(np.searchsorted(starts, asked["requested_at"].to_numpy(), side="right") - 1, 0)
    lists = []
    for number in np.unique(at):
        name, own = answering.names[number], asked.filter(at == number)
        logger.info("listing items for %d of %d users", own.height, asked.height)
        generator = generator_of(models[name], of_slice(items, name))
        inputs = generate_candidates(
            replace(generator, retriever=generator.retriever.with_index(settings.index)),
            data.context.join(own, on="user_id", how="semi"),
            own,
            n_candidates=max(k, settings.candidates.n_candidates),
        )
        lists.append(_table(inputs.candidates if ranker is None else rank(ranker, inputs), inputs, data, k))
    made = pl.concat(lists)
    n_short = asked.height - made.group_by("user_id").len().filter(pl.col("len") >= k).height
    if n_short:
        logger.info("%d of %d users have fewer than %d items that are new to them", n_short, asked.height, k)
    return made


def _tell_epochs(name: str) -> AfterEpoch:
    """Logs the progress of a training every `TOLD_EPOCHS` epochs: the first of a large table takes minutes."""

    def tell(epoch: int, _model: RetrievalModel) -> None:
        if epoch % TOLD_EPOCHS == 0:
            logger.info("retrieval %s: epoch %d", name, epoch)

    return tell


def _chains(data: BenchData, asked: pl.DataFrame, settings: BenchSettings) -> tuple[Splits, Splits, pl.DataFrame]:
    """The slices for the ranker's training rows, the slices that answer, and the ratings that both are fitted on."""
    end = int(data.train["timestamp"].max()) + 1  # type: ignore[arg-type]  # never null, and never empty
    if settings.protocol == "time" and not data.is_ordered:
        raise DataError("--protocol time needs times, or rows in their order: add a column timestamp to both tables")
    if not data.is_ordered or not _is_by_time(asked, end, settings.protocol):
        return hold_out(data.train, end, settings.holdouts), fitted_before(end), data.train
    windows = make_splits(data.train, settings.splits).without(NOW)
    both = pl.concat([data.train, data.context]).sort("timestamp", "user_id", "item_id")
    return windows, _refits(asked, end, settings.n_refits), both


def _is_by_time(asked: pl.DataFrame, end: int, protocol: Protocol) -> bool:
    """Whether most users are asked after the training data end."""
    if protocol != "auto":
        return protocol == "time"
    return bool((asked["requested_at"] > end).sum() * 2 > asked.height)


def _refits(asked: pl.DataFrame, end: int, n: int) -> Splits:
    """Slices without questions, each fitted on the ratings known when the next part of the users begins to ask."""
    times = np.sort(asked["requested_at"].to_numpy())
    starts = {end} | {max(end, int(times[len(times) * step // n])) for step in range(1, n)}
    return chained(*[fitted_before(start, f"{NOW}_{step}") for step, start in enumerate(sorted(starts))])


def _ranker(
    ratings: pl.DataFrame, past: Splits, items: pl.DataFrame, models: dict[str, RetrievalModel], settings: BenchSettings
) -> Ranker | None:
    if past.users.is_empty():
        logger.warning("%s to learn a ranking from: the order is retrieval's", _what_lacks(ratings, settings.holdouts))
        return None
    logger.info("fitting the ranker, by the likes of %d users", past.users["user_id"].n_unique())
    features = SliceFeatures(items=items, users=user_features_by_slice(ratings, items, past))
    examples = examples_of_slices(
        ratings, past, features, models.__getitem__, n_candidates=settings.candidates.n_candidates
    )
    if not examples.rows["label"].sum():
        logger.warning("retrieval found none of the likes to learn a ranking from: the order is retrieval's")
        return None
    return fit_ranker(examples.rows, examples.feature_set, settings.ranker, past.last_until)


def _what_lacks(ratings: pl.DataFrame, config: HoldoutsConfig) -> str:
    """The reason for which no likes could be held out: the beginning of a sentence."""
    likes = ratings.filter(pl.col("rating") >= LIKED)
    if likes.is_empty():
        return (
            f"no rating has {LIKED:g} stars or more, as a like has (write {RATING_STEPS[-1]:g} for a play or a click),"
        )
    if likes.group_by("user_id").len()["len"].max() < config.holdout_likes:  # type: ignore[operator]  # a count
        return f"no user has {config.holdout_likes} likes, which are ratings of {LIKED:g} stars or more,"
    return "no user has enough likes at different times"


def _table(ordered: Candidates, inputs: RankingInputs, data: BenchData, k: int) -> pl.DataFrame:
    item_idx, scores = ordered.item_idx[:, :k], ordered.scores[:, :k]
    present = item_idx >= 0
    rows, places = np.nonzero(present)
    items = inputs.generator.model.catalogue.item_ids[item_idx[present]]
    return pl.DataFrame(
        {
            "user_id": external_ids(inputs.users.user_ids[rows], data.user_ids),
            "item_id": external_ids(items, data.item_ids),
            "rank": places + 1,
            "score": scores[present],
        }
    )
