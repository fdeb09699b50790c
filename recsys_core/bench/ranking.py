"""Fit the stages on one table and list items for the users of another: for judges who bring their own data.

The same functions as in the assets, in the same order: hold-outs, features, towers, index, training rows, ranker.
"""

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from recsys_core.bench.tables import BenchData, as_they_came
from recsys_core.data.config import HoldoutsConfig
from recsys_core.data.slicing import without_exam
from recsys_core.data.splits import TEST, Splits
from recsys_core.features.slices import item_features_by_slice, of_slice, user_features_by_slice
from recsys_core.ranking.config import RankerConfig
from recsys_core.ranking.inputs import RankingInputs, after_the_last, propose, proposer_of
from recsys_core.ranking.lists import rank
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.ranking.slices import examples_of_slices
from recsys_core.retrieval.candidates import Candidates
from recsys_core.retrieval.config import CandidatesConfig, IndexConfig, TwoTowerConfig
from recsys_core.retrieval.embeddings import embed_items
from recsys_core.retrieval.index import build_index
from recsys_core.retrieval.slices import fit_towers
from recsys_core.retrieval.training import FittedTower

logger = logging.getLogger(__name__)

Stage = Literal["retrieval", "ranking"]


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """The settings of every stage that takes part."""

    holdouts: HoldoutsConfig
    two_tower: TwoTowerConfig
    index: IndexConfig
    candidates: CandidatesConfig
    ranker: RankerConfig


def ranked_lists(data: BenchData, settings: BenchSettings, stage: Stage, k: int) -> pl.DataFrame:
    """The k best unseen items of every user of the context: user_id, item_id, rank (from 1), score.

    Args:
        data: what to fit on and whom to ask about.
        settings: as for the assets.
        stage: 'retrieval' for the order of the towers, 'ranking' for that of the whole system.
        k: length of the lists; shorter where a user has seen nearly everything.

    Where the data have no user whose likes could be held out, or none of these likes is found, there is no ranker, and
    the order of retrieval stands; a warning says so.
    """
    n_candidates = max(k, settings.candidates.n_candidates)
    splits = without_exam(data.train, TEST, settings.holdouts, with_holdouts=stage == "ranking")
    items = item_features_by_slice(data.train, data.movies, splits)
    towers = fit_towers(data.train, items, splits, settings.two_tower)
    embeddings = embed_items(towers[TEST])
    index = build_index(embeddings.vectors, embeddings.item_ids, settings.index)
    proposer = proposer_of(towers[TEST], of_slice(items, TEST), index)
    inputs = propose(proposer, data.context, after_the_last(data.context), n_candidates=n_candidates)
    ranker = _ranker(data, splits, items, towers, settings) if stage == "ranking" else None
    return _table(inputs.candidates if ranker is None else rank(ranker, inputs), inputs, data, k)


def _ranker(
    data: BenchData, splits: Splits, items: pl.DataFrame, towers: dict[str, FittedTower], settings: BenchSettings
) -> Ranker | None:
    if splits.users.is_empty():
        logger.warning("no user has enough likes at different times to learn a ranking from: the order is retrieval's")
        return None
    users = user_features_by_slice(data.train, items, splits)
    examples = examples_of_slices(
        data.train, splits, items, users, towers.__getitem__, n_candidates=settings.candidates.n_candidates
    )
    lessons = examples.lessons(TEST)
    if not lessons["label"].sum():
        logger.warning("retrieval found none of the held-out likes to learn a ranking from: the order is retrieval's")
        return None
    return fit_ranker(lessons, examples.feature_set, settings.ranker)


def _table(ordered: Candidates, inputs: RankingInputs, data: BenchData, k: int) -> pl.DataFrame:
    item_idx, scores = ordered.item_idx[:, :k], ordered.scores[:, :k]
    present = item_idx >= 0
    rows, places = np.nonzero(present)
    items = inputs.proposer.tower.catalogue.item_ids[item_idx[present]]
    return pl.DataFrame(
        {
            "user_id": as_they_came(inputs.users.user_ids[rows], data.user_ids),
            "item_id": as_they_came(items, data.item_ids),
            "rank": places + 1,
            "score": scores[present],
        }
    )
