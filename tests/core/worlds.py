"""What the tests of retrieval, ranking and serving share: hand-made histories, and the tiny world run through."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_core.data.config import SplitsConfig
from recsys_core.data.histories import Histories
from recsys_core.data.splits import NOW, Splits, make_splits
from recsys_core.features.tables import SliceFeatures, item_features_by_slice, of_slice, user_features_by_slice
from recsys_core.ranking.config import NO_RULES, RankerConfig
from recsys_core.ranking.inputs import CandidateGenerator, generator_of
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.rankers import fit_rankers
from recsys_core.ranking.training_rows import RankingExamples, examples_of_slices
from recsys_core.retrieval.config import IndexConfig, TwoTowerConfig
from recsys_core.retrieval.index import ItemIndex, build_index
from recsys_core.retrieval.model import ItemEmbeddings, RetrievalModel, embed_items
from recsys_core.retrieval.training import fit_retrieval_models
from recsys_core.serving.bundle import Bundle
from tests import tiny_world

Rating = tuple[int, float, int]
"""item_idx, stars, timestamp."""

QUICK_SPLITS = SplitsConfig(first_share=0.3, n_windows=5, n_refits=2, n_teaching=1)
QUICK_TRAINING = TwoTowerConfig(dim=16, n_epochs=25, refit_epochs=10, refit_learning_rate=0.01, batch_users=32)
QUICK_RANKER = RankerConfig(n_rounds=40, min_child_weight=1.0)
N_CANDIDATES = 20


def histories_from(users: Sequence[Sequence[Rating]], n_items: int) -> Histories:
    flat = [rating for user in users for rating in user]
    return Histories(
        user_ids=np.arange(len(users)) + 100,
        offsets=np.cumsum([0, *map(len, users)], dtype=np.int64),
        item_idx=np.array([item for item, _, _ in flat], dtype=np.int64),
        ratings=np.array([stars for _, stars, _ in flat], dtype=np.float32),
        timestamps=np.array([timestamp for _, _, timestamp in flat], dtype=np.int64),
        n_items=n_items,
    )


def random_histories(seed: int, n_users: int, n_items: int) -> Histories:
    """Histories of 0 to n_items - 1 ratings in which many share a second."""
    rng = np.random.default_rng(seed)
    users = []
    for n in rng.integers(0, n_items, n_users):
        times = np.sort(rng.integers(0, max(n, 1), n)) * 4_000_000
        items = rng.permutation(n_items)[:n]
        users.append([(int(i), rng.integers(1, 11) / 2, int(t)) for i, t in zip(items, times, strict=True)])
    return histories_from(users, n_items)


def pairs_of(users: Histories) -> set[tuple[int, int]]:
    """(user row, item_idx) of every rating."""
    return set(zip(users.rows.tolist(), users.item_idx.tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class TinyRun:
    """The tiny world, and everything up to the ranker made from it."""

    ratings: pl.DataFrame
    movies: pl.DataFrame
    splits: Splits
    items: pl.DataFrame  # item_features_by_slice
    users: pl.DataFrame  # user_features_by_slice
    models: dict[str, RetrievalModel]
    embeddings: ItemEmbeddings
    index: ItemIndex
    examples: RankingExamples
    ranker: Ranker  # the one that serves, calibrated
    window_rankers: dict[str, Ranker]  # by window

    @property
    def model(self) -> RetrievalModel:
        """The tower that serves."""
        return self.models[NOW]

    @property
    def item_rows(self) -> pl.DataFrame:
        """item_features as of the serving tower's fit_end."""
        return of_slice(self.items, NOW)

    @property
    def features(self) -> SliceFeatures:
        """Both feature tables."""
        return SliceFeatures(items=self.items, users=self.users)

    @property
    def asked(self) -> str:
        """The last development slice that asks anybody: known to no model that it examines, and not of the test."""
        own = self.splits.slices_of(self.splits.development[-1])
        return [name for name in self.splits.asking if name in own][-1]

    def generator(self, name: str = NOW, *, indexed: bool = False) -> CandidateGenerator:
        """The tower of a slice, made ready; the search is exact but for the serving tower with its index."""
        return generator_of(self.models[name], of_slice(self.items, name), self.index if indexed else None)

    def bundle(self, **versions: str) -> Bundle:
        """The models that serve, as a bundle of these versions."""
        return Bundle(
            movies=self.movies,
            ratings=self.ratings,
            generator=self.generator(indexed=True),
            ranker=self.ranker,
            versions=versions,
        )


def run_tiny_world(ratings: pl.DataFrame | None = None) -> TinyRun:
    ratings, movies = tiny_world.ratings() if ratings is None else ratings, tiny_world.movies()
    splits = make_splits(ratings, QUICK_SPLITS)
    items = item_features_by_slice(ratings, movies, splits)
    users = user_features_by_slice(ratings, items, splits)
    models = fit_retrieval_models(ratings, items, splits, QUICK_TRAINING)
    embeddings = embed_items(models[NOW])
    features = SliceFeatures(items=items, users=users)
    examples = examples_of_slices(ratings, splits, features, models.__getitem__, n_candidates=N_CANDIDATES)
    rankers = fit_rankers(examples, QUICK_RANKER, NO_RULES)
    return TinyRun(
        ratings=ratings,
        movies=movies,
        splits=splits,
        items=items,
        users=users,
        models=models,
        embeddings=embeddings,
        index=build_index(embeddings.vectors, embeddings.item_ids, IndexConfig()),
        examples=examples,
        ranker=rankers.serving,
        window_rankers=rankers.window_rankers,
    )
