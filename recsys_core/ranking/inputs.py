"""The inputs of ranking: users, their candidates, and the features of both.

Training rows, evaluation and serving share this code: one path from a history to the ranker's features. A
`CandidateGenerator` holds everything that depends on the items alone; it is made once for any number of requests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import Histories, evidence, histories_of
from recsys_core.features.assembler import FeatureBlock, assemble
from recsys_core.features.exposures import Exposures
from recsys_core.features.item_inputs import ItemInputs, ItemVectors, item_inputs
from recsys_core.features.pairs import Pairs, UserParts
from recsys_core.features.registry import FEATURE_NAMES, names_of
from recsys_core.features.state import RequestBatch, UserStates, user_states
from recsys_core.retrieval.candidates import Candidates, Retriever, seen_at
from recsys_core.retrieval.index import ItemIndex
from recsys_core.retrieval.model import RetrievalModel, VectorLayout, user_vectors, vector_layout

ModelOf = Callable[[str], RetrievalModel]
"""The retrieval model of a slice, by the slice's name."""

USERS_AT_ONCE = 256
"""Users per batch of features: bounds the memory at 256 x n_candidates vectors."""


@dataclass(frozen=True, kw_only=True)
class CandidateGenerator:
    """A retrieval model with its items ready for search and for features."""

    retriever: Retriever
    items: ItemInputs

    @property
    def model(self) -> RetrievalModel:
        """The model that encodes users and items."""
        return self.retriever.model

    @cached_property
    def layout(self) -> VectorLayout:
        """The place of each part in a user's vector."""
        return vector_layout(self.model)

    def features(
        self, requests: RequestBatch, vectors: Float32s, item_idx: Int64s, user_values: Float32s | None = None
    ) -> FeatureBlock:
        """The features of some users' candidates.

        Args:
            requests: users and times.
            vectors: (n_users, d) of `user_vectors`.
            item_idx: (n_users, n_candidates), best first; -1 where there is none.
            user_values: (n_users, n_user_features), if they are computed already.
        """
        user_parts = UserParts(
            trained=vectors[:, self.layout.trained],
            ease=vectors[:, self.layout.ease] * np.float32(self.model.ease_weight),
            trend=vectors[:, self.layout.trend],
            rating=self.model.rating_model.encode_users(requests.users.histories),
            evidence=evidence(requests.users.histories).astype(np.float32),
        )
        pairs = Pairs(
            users=requests.users,
            items=self.items,
            user_parts=user_parts,
            item_idx=item_idx,
            exposures=requests.exposures,
        )
        return assemble(requests, pairs, user_values)


@dataclass(frozen=True, kw_only=True)
class RankingInputs:
    """Some requests after retrieval."""

    generator: CandidateGenerator
    users: Histories
    requested_at: Int64s  # (n_users,) seconds UTC
    user_vectors: Float32s  # (n_users, d)
    candidates: Candidates
    user_values: Float32s | None  # (n_users, n_user_features) of the table of user features, where there is one
    exposures: Exposures | None = None  # None where nothing was shown, as in the windows of the past


def generator_of(model: RetrievalModel, items: pl.DataFrame, index: ItemIndex | None = None) -> CandidateGenerator:
    """Make a candidate generator from a retrieval model.

    Args:
        model: encodes users and items.
        items: `item_features` as of the model's `fit_end`.
        index: of the rated items; without one the search is exact.
    """
    retriever, layout = Retriever.of(model, index), vector_layout(model)
    vectors = retriever.item_vectors
    learned = ItemVectors(
        trained=np.ascontiguousarray(vectors[:, layout.trained]),
        biases=np.ascontiguousarray(vectors[:, layout.bias][:, 0]),
        history_factors=model.ease.history_factors,
        target_factors=model.ease.target_factors,
        trend=model.trend.item_factors,
        following=model.covisits.matrix,
        preceding=model.covisits.reverse,
        neighbours=model.neighbours,
        rating_biases=model.rating_model.biases,
        rating_factors=model.rating_model.factors,
    )
    inputs = item_inputs(items, names_of("item"), model.catalogue, learned, model.fit_end)
    return CandidateGenerator(retriever=retriever, items=inputs)


def generate_candidates(
    generator: CandidateGenerator,
    known: pl.DataFrame,
    requested_at: pl.DataFrame,
    *,
    user_rows: pl.DataFrame | None = None,
    n_candidates: int,
    rewatch_after_days: int | None = None,
) -> RankingInputs:
    """Encode users and find their candidates.

    Args:
        generator: encodes users and searches items.
        known: user_id, item_id, rating, timestamp: each user's ratings before the request.
        requested_at: user_id, requested_at (seconds UTC); users without ratings included.
        user_rows: `user_features` at the request, if they are computed already.
        n_candidates: candidates per user.
        rewatch_after_days: as in `seen_at`.
    """
    requests = requested_at.sort("user_id")
    users = histories_of(known, generator.model.catalogue, requests["user_id"].to_numpy())
    return generate_candidates_for(
        generator,
        users,
        requests["requested_at"].to_numpy(),
        user_values=None if user_rows is None else _values_of(users, user_rows),
        n_candidates=n_candidates,
        rewatch_after_days=rewatch_after_days,
    )


def generate_candidates_for(
    generator: CandidateGenerator,
    users: Histories,
    requested_at: Int64s,
    *,
    user_values: Float32s | None = None,
    n_candidates: int,
    rewatch_after_days: int | None = None,
) -> RankingInputs:
    """`generate_candidates` for histories that are built already; a user may occur several times.

    Args:
        generator: encodes users and searches items.
        users: the histories before the requests.
        requested_at: (n_users,) seconds UTC.
        user_values: (n_users, n_user_features), if they are computed already.
        n_candidates: candidates per user.
        rewatch_after_days: as in `seen_at`.
    """
    vectors, seen = user_vectors(generator.model, users), seen_at(users, requested_at, rewatch_after_days)
    return RankingInputs(
        generator=generator,
        users=users,
        requested_at=requested_at,
        user_vectors=vectors,
        candidates=generator.retriever.candidates(vectors, seen, requested_at, n_candidates),
        user_values=user_values,
    )


def after_the_last(known: pl.DataFrame) -> pl.DataFrame:
    """user_id, requested_at: one request per user, in the second after their latest rating."""
    return known.group_by("user_id").agg(requested_at=pl.col("timestamp").max() + 1)


def candidate_features(inputs: RankingInputs) -> Float32s:
    """(n_users, n_candidates, n_features): the ranker's input."""
    n_users, n_candidates = inputs.candidates.item_idx.shape
    features = np.empty((n_users, n_candidates, len(FEATURE_NAMES)), dtype=np.float32)
    for start in range(0, n_users, USERS_AT_ONCE):
        rows = np.arange(start, min(start + USERS_AT_ONCE, n_users))
        features[rows] = _block(inputs, rows).values
    return features


def _block(inputs: RankingInputs, rows: Int64s) -> FeatureBlock:
    states: UserStates = user_states(inputs.users.select(rows), inputs.generator.items)
    exposures = None if inputs.exposures is None else inputs.exposures.select(rows)
    return inputs.generator.features(
        RequestBatch(users=states, requested_at=inputs.requested_at[rows], exposures=exposures),
        inputs.user_vectors[rows],
        inputs.candidates.item_idx[rows],
        None if inputs.user_values is None else inputs.user_values[rows],
    )


def _values_of(users: Histories, user_rows: pl.DataFrame) -> Float32s:
    """The rows of a table of user features in the order of the histories; NaN for a user without a row."""
    asked = pl.DataFrame({"user_id": users.user_ids})
    wanted = asked.join(user_rows, on="user_id", how="left", maintain_order="left")
    return wanted.select(pl.col(names_of("user")).fill_null(float("nan"))).to_numpy()
