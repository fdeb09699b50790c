"""Real rows to look for drift in: the first ten candidates of every user of one hold-out, as the ranker reads them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.lake.store import Lake
from recsys_core.monitoring.sample import Sample, scored_sample
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker

Float32s = npt.NDArray[np.float32]
Users = npt.NDArray[np.int64]


SLICE, EARLIER = "test_holdout_15", "test_holdout_45"
N_PLACES = 10


@dataclass(frozen=True, kw_only=True)
class Requests:
    """One request per user."""

    features: Float32s  # (n_users, N_PLACES, n_features)
    earlier: Float32s  # the same users, answered from a history that lacks the latest 45 % of their likes, not 15 %
    ranker: Ranker

    def sample(self, features: Float32s, clusters: Users | None = None) -> Sample:
        """The rows of (n, N_PLACES, n_features) requests with the ranker's scores; each a cluster if not told."""
        rows = features.reshape(-1, len(FEATURE_NAMES))
        numbers = np.arange(len(features)) if clusters is None else clusters
        return scored_sample(rows, self.ranker.score(rows), np.repeat(numbers, features.shape[1]))


def column(name: str) -> int:
    """Place of a feature."""
    return FEATURE_NAMES.index(name)


def read_requests(lake: Lake) -> Requests:
    """The users who have ten candidates in both hold-outs."""
    rows = RankingExamples.load(lake.open("ranking_examples")).rows.filter(pl.col("pair_retrieval_rank") <= N_PLACES)
    in_full = pl.len().over("slice", "user_id") == N_PLACES
    slices = [rows.filter(in_full, slice=name) for name in (SLICE, EARLIER)]
    features = [
        one.join(other, on="user_id", how="semi")
        .sort("user_id", "pair_retrieval_rank")
        .select(FEATURE_NAMES)
        .to_numpy()
        .astype(np.float32)
        .reshape(-1, N_PLACES, len(FEATURE_NAMES))
        for one, other in (slices, slices[::-1])
    ]
    return Requests(features=features[0], earlier=features[1], ranker=Ranker.load(lake.open("ranker")))
