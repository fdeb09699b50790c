"""One request through tower, index, features and ranker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.errors import UnknownUserError
from recsys_core.features.contract import FEATURE_NAMES
from recsys_core.ranking.inputs import candidate_features, propose
from recsys_core.ranking.lists import rank_by_features
from recsys_core.serving.bundle import Bundle


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One place of an answer, with what put it there."""

    rank: int  # from 1
    item_id: int
    title: str
    year: int | None
    genres: list[str]
    score: float  # of the ranker: orders this answer, means nothing beyond it
    probability: float | None  # that the user goes on to like it; None where the ranker is not calibrated
    retrieval_rank: int  # from 1, among the candidates
    features: dict[str, float]  # what the ranker read; NaN where undefined
    contributions: dict[str, float]  # SHAP value of each feature: by how much it moved the score


def known_of_user(bundle: Bundle, user_id: int) -> pl.DataFrame:
    """All ratings of a user.

    Raises:
        UnknownUserError: there are none.
    """
    known = bundle.ratings.filter(user_id=user_id)
    if known.is_empty():
        ids = bundle.ratings["user_id"].unique().sort().to_list()
        raise UnknownUserError(
            f"user {user_id} has no ratings here: take one of the {len(ids)} users between {ids[0]} and {ids[-1]}, "
            "or name liked movies instead (--like)"
        )
    return known


def known_of_likes(bundle: Bundle, item_ids: Sequence[int]) -> pl.DataFrame:
    """The history of somebody new who likes these items, five stars each, all at the time that the models end.

    Raises:
        UnknownUserError: no item is in the catalogue, so nothing is known of this user.
    """
    wanted = sorted(set(item_ids))
    if not (bundle.tower.catalogue.idx_of(np.array(wanted, dtype=np.int64)) >= 0).any():
        raise UnknownUserError(
            f"none of the movies {wanted} is in the catalogue: find its id with `recsys data movies`"
        )
    n = len(wanted)
    columns = {"user_id": [0] * n, "item_id": wanted, "rating": [5.0] * n, "timestamp": [bundle.tower.fit_end] * n}
    return pl.DataFrame(columns, schema=RATINGS_COLUMNS)


def recommend(bundle: Bundle, known: pl.DataFrame, k: int = 10) -> list[Recommendation]:
    """The k best unseen items for the one user whose ratings are `known`, best first.

    Fewer than k come back where the user has rated nearly the whole catalogue, or where k exceeds the number of
    candidates that the ranker learnt to order.
    """
    inputs = propose(bundle.tower, bundle.index, known, bundle.item_rows, n_candidates=bundle.ranker.n_candidates)
    of_candidates = candidate_features(inputs)  # (1, n_candidates, n_features)
    ranked = rank_by_features(bundle.ranker, inputs.candidates, of_candidates)
    item_idx = ranked.item_idx[0, :k]
    item_idx = item_idx[item_idx >= 0]
    proposed = inputs.candidates.item_idx[0]
    places = np.array([int(np.flatnonzero(proposed == idx)[0]) for idx in item_idx], dtype=np.int64)
    features = of_candidates[0, places]
    contributions = bundle.ranker.contributions(features)
    probabilities = bundle.ranker.probability(ranked.scores[0])
    about = {row["item_id"]: row for row in bundle.movies.iter_rows(named=True)}
    answer = []
    for at, idx in enumerate(item_idx):
        item_id = int(bundle.tower.catalogue.item_ids[idx])
        movie = about.get(item_id, {"title": "", "year": None, "genres": []})
        answer.append(
            Recommendation(
                rank=at + 1,
                item_id=item_id,
                title=movie["title"],
                year=movie["year"],
                genres=movie["genres"],
                score=float(ranked.scores[0, at]),
                probability=None if probabilities is None else float(probabilities[at]),
                retrieval_rank=int(places[at]) + 1,
                features=dict(zip(FEATURE_NAMES, features[at].tolist(), strict=True)),
                contributions=dict(zip(FEATURE_NAMES, contributions[at, :-1].tolist(), strict=True)),
            )
        )
    return answer
