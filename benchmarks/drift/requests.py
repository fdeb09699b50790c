"""Real rows to look for drift in: the first ten candidates of each user's latest question, as the ranker reads them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.arrays import Float32s
from recsys_core.data.splits import Splits, known_ratings
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.features.tables import of_slice
from recsys_core.lake.store import Lake
from recsys_core.monitoring.clustered_sample import ClusteredSample, scored_sample
from recsys_core.ranking.inputs import candidate_features, generate_candidates, generator_of
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.model import load_retrieval_model
from recsys_core.tables import read_table

Users = npt.NDArray[np.int64]


N_PLACES = 10


@dataclass(frozen=True, kw_only=True)
class Requests:
    """One request per user."""

    features: Float32s  # (n_users, N_PLACES, n_features)
    earlier: Float32s  # the same users, answered from a history that lacks the latest half of their ratings
    ranker: Ranker

    def sample(self, features: Float32s, clusters: Users | None = None) -> ClusteredSample:
        """The rows of (n, N_PLACES, n_features) requests with the ranker's scores; each a cluster if not told."""
        rows = features.reshape(-1, len(FEATURE_NAMES))
        numbers = np.arange(len(features)) if clusters is None else clusters
        return scored_sample(rows, self.ranker.score(rows), np.repeat(numbers, features.shape[1]))


def column(name: str) -> int:
    """Place of a feature."""
    return FEATURE_NAMES.index(name)


def latest_questions(splits: Splits) -> pl.DataFrame:
    """slice, user_id, cut: each user's latest question of the chain."""
    order = {name: place for place, name in enumerate(splits.names)}
    placed = splits.users.with_columns(place=pl.col("slice").replace_strict(order, return_dtype=pl.Int64))
    return placed.sort("place").unique("user_id", keep="last", maintain_order=True).drop("place")


def read_requests(lake: Lake) -> Requests:
    """The users who have ten candidates, also when the latest half of their ratings is not yet known."""
    ratings = read_table(lake.open("ratings") / "every_rating.parquet")
    splits = Splits.load(lake.open("splits"))
    items = read_table(lake.open("item_features") / "item_features.parquet")
    ranker = Ranker.load(lake.open("ranker"))
    features, earlier = [], []
    for (name,), own in latest_questions(splits).group_by("slice", maintain_order=True):
        model = load_retrieval_model(lake.open("two_tower"), str(name))
        generator = generator_of(model, of_slice(items, str(name)))
        requests = own.select("user_id", requested_at="cut")
        known = known_ratings(ratings, splits, str(name)).join(own, on="user_id", how="semi")
        place = pl.col("timestamp").rank("ordinal").over("user_id")
        now, then = (
            generate_candidates(generator, table, requests, n_candidates=ranker.n_candidates)
            for table in (known, known.filter(place <= pl.len().over("user_id") // 2))
        )
        both = [(one.candidates.item_idx[:, :N_PLACES] >= 0).all(axis=1) for one in (now, then)]
        features.append(candidate_features(now)[both[0] & both[1], :N_PLACES])
        earlier.append(candidate_features(then)[both[0] & both[1], :N_PLACES])
    return Requests(features=np.concatenate(features), earlier=np.concatenate(earlier), ranker=ranker)
