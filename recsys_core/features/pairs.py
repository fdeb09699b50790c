"""What was known of a user and a candidate together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from recsys_core.data.histories import Histories
from recsys_core.data.schemas import LIKED
from recsys_core.features.associations import N_RECENT, association_features
from recsys_core.features.content import genre_shares
from recsys_core.features.covisits import covisit_features

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ItemVectors:
    """What retrieval learned of the items, rows in the order of item_idx."""

    trained: Float32s  # (n_items, d) the item tower's output
    shown: Float32s  # (n_items, rank) closed form: an item as part of a history
    offered: Float32s  # (n_items, rank) closed form: an item as an answer
    following: sp.csr_array  # (n_items, n_items) lift of the column soon after the row
    preceding: sp.csr_array  # (n_items, n_items) lift of the column soon before the row


@dataclass(frozen=True, kw_only=True)
class ItemSide:
    """What the pair features read of the items, each row one `item_idx`."""

    genre_shares: Float32s  # (n_items, n_genres)
    has_genres: npt.NDArray[np.bool_]  # (n_items,)
    years: Float32s  # (n_items,) NaN where unknown
    unit_vectors: Float32s  # (n_items, d) the item tower's output, of length one
    learned: ItemVectors


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """What retrieval proposed, (n_users, n_candidates) each, best first; item_idx is -1 where a user has fewer."""

    item_idx: Int64s
    scores: Float32s  # of all parts together
    closed_form_scores: Float32s
    trend_scores: Float32s


def item_side(items: pl.DataFrame, vectors: ItemVectors) -> ItemSide:
    """Gather the item side from `item_features` and the item vectors, rows in the same order."""
    shares = genre_shares(items["genres"])
    length = np.linalg.norm(vectors.trained, axis=1, keepdims=True)
    return ItemSide(
        genre_shares=shares,
        has_genres=shares.sum(axis=1) > 0,
        years=items["year"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        unit_vectors=vectors.trained / np.maximum(length, np.float32(1e-12)),
        learned=vectors,
    )


def pair_features(
    users: Histories, proposed: Proposed, side: ItemSide, mean_liked_years: Float32s
) -> dict[str, Float32s]:
    """All pair features of the contract, each (n_users, n_candidates); NaN where undefined.

    Values in places without a candidate are arbitrary.

    Args:
        users: histories before the request.
        proposed: the candidates.
        side: the items.
        mean_liked_years: (n_users,) user feature of that name, NaN where undefined.
    """
    candidates, scores = proposed.item_idx, proposed.scores
    liked, recent = users.ratings >= LIKED, users.from_end <= N_RECENT
    similarity = _recent_similarity(recent_items(users, N_RECENT), candidates, side)
    return {
        "pair_retrieval_score": scores,
        "pair_retrieval_rank": np.broadcast_to(np.arange(1, scores.shape[1] + 1, dtype=np.float32), scores.shape),
        "pair_retrieval_z": _standardised(scores, candidates >= 0),
        "pair_closed_form_score": proposed.closed_form_scores,
        "pair_trained_score": scores - proposed.closed_form_scores - proposed.trend_scores,
        "pair_trend_score": proposed.trend_scores,
        "pair_genre_affinity": _affinity(_profiles(users, liked, side), candidates, side),
        "pair_recent_genre_affinity": _affinity(_profiles(users, recent, side), candidates, side),
        "pair_recent_similarity_mean": _mean(similarity),
        "pair_recent_similarity_max": _max(similarity),
        **association_features(users, candidates, side.learned.shown, side.learned.offered),
        **covisit_features(users, candidates, side.learned.following, side.learned.preceding),
        "pair_year_distance": np.abs(side.years[candidates] - mean_liked_years[:, None]),
    }


def recent_items(users: Histories, n: int) -> Int64s:
    """(n_users, n) item_idx of the latest ratings, newest first; -1 where a history is shorter."""
    at = users.offsets[1:, None] - 1 - np.arange(n)  # (n_users, n)
    inside = at >= users.offsets[:-1, None]
    if not len(users.item_idx):
        return np.full(at.shape, -1, dtype=np.int64)
    recent: Int64s = np.where(inside, users.item_idx[np.maximum(at, 0)], -1)
    return recent


def _profiles(users: Histories, counted: npt.NDArray[np.bool_], side: ItemSide) -> Float32s:
    """(n_users, n_genres) mean genre shares of the counted ratings whose item has genres; NaN without any."""
    return users.mean_rows(counted & side.has_genres[users.item_idx], side.genre_shares)


def _affinity(profiles: Float32s, candidates: Int64s, side: ItemSide) -> Float32s:
    covered = (side.genre_shares > 0).astype(np.float32)[candidates]  # (n_users, n_candidates, n_genres)
    affinity: Float32s = np.einsum("ug,ucg->uc", profiles, covered)
    return np.where(side.has_genres[candidates], np.minimum(affinity, np.float32(1)), np.float32(np.nan))


def _recent_similarity(recent: Int64s, candidates: Int64s, side: ItemSide) -> Float32s:
    """(n_users, n_candidates, n_recent) cosines; NaN where the user has fewer recent ratings."""
    cosines: Float32s = np.einsum("ucd,urd->ucr", side.unit_vectors[candidates], side.unit_vectors[recent])
    return np.where(recent[:, None, :] >= 0, np.clip(cosines, -1, 1), np.float32(np.nan))


def _mean(similarity: Float32s) -> Float32s:
    defined = ~np.isnan(similarity)
    n = defined.sum(axis=2).astype(np.float32)
    total = np.where(defined, similarity, np.float32(0)).sum(axis=2)
    mean: Float32s = total / np.where(n > 0, n, np.float32(np.nan))
    return mean


def _max(similarity: Float32s) -> Float32s:
    highest = np.where(np.isnan(similarity), np.float32(-np.inf), similarity).max(axis=2)
    return np.where(np.isneginf(highest), np.float32(np.nan), highest)


def _standardised(scores: Float32s, present: npt.NDArray[np.bool_]) -> Float32s:
    n = np.maximum(present.sum(axis=1, keepdims=True), 1)
    kept = np.where(present, scores, np.float32(0)).astype(np.float64)
    mean = kept.sum(axis=1, keepdims=True) / n
    variance = (np.where(present, kept - mean, 0) ** 2).sum(axis=1, keepdims=True) / n
    standardised: Float32s = ((kept - mean) / np.sqrt(np.maximum(variance, 1e-12))).astype(np.float32)
    return standardised
