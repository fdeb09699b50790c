"""An answer in words: titles beside ids, and why each movie is where it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.data.schemas import LIKED
from recsys_core.errors import UnknownUserError
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.ranking.inputs import CandidateGenerator
from recsys_core.retrieval.vectors import rating_vectors
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.requests import Answer

MOST_NAMED = 2
"""Reasons that are put into words: a third one mostly adds little, and nobody reads it."""


LEAST_SHARE = 0.3
"""A further reason is named if it carried at least this share of what the first one did."""


NO_REASON = "because many like it: nothing that you rated speaks for it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One rating of the user's history that spoke for a movie."""

    item_id: int
    rating: float  # stars that the user gave
    timestamp: int  # seconds UTC
    lift: float  # what it adds to the retrieval score of this movie, above what it adds to the mean candidate


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One place of an answer, with what put it there."""

    rank: int  # from 1
    item_id: int
    title: str
    year: int | None
    genres: list[str]
    score: float  # of the ranker: orders this answer before list rules, means nothing beyond it
    probability: float | None  # that the user goes on to like it; None where the ranker is not calibrated
    retrieval_rank: int  # from 1, among the candidates
    ranker_rank: int  # from 1: where it would stand without list rules
    moved_by: str  # the list rule that moved it from there; "" where none did
    features: dict[str, float]  # what the ranker read; NaN where undefined
    contributions: dict[str, float]  # SHAP value of each feature: by how much it moved the score
    base: float  # what SHAP counts from, the same for every movie: with the contributions it sums to the score
    because: str  # the reasons in words; "" where none were asked for
    reasons: tuple[Reason, ...]  # the user's ratings that spoke for it in retrieval, the strongest first


def describe(
    bundle: Bundle, answer: Answer, reasons: Sequence[tuple[Reason, ...]] | None = None
) -> list[Recommendation]:
    """Each place of an answer, best first; an item that the movie table lacks has no title, year and genres.

    Args:
        bundle: that answered.
        answer: to be put into words.
        reasons: of each place, as `Recommender.reasons` gives them; None: nobody wants them.
    """
    titles = titles_of(bundle.movies)
    about = {row["item_id"]: row for row in bundle.movies.iter_rows(named=True)}
    contributions = bundle.ranker.contributions(answer.features)
    described = []
    for at, item_id in enumerate(answer.item_ids.tolist()):
        movie = about.get(item_id, {"title": "", "year": None, "genres": []})
        described.append(
            Recommendation(
                rank=at + 1,
                item_id=item_id,
                title=movie["title"],
                year=movie["year"],
                genres=movie["genres"],
                score=float(answer.scores[at]),
                probability=None if answer.probabilities is None else float(answer.probabilities[at]),
                retrieval_rank=int(answer.retrieval_ranks[at]),
                ranker_rank=int(answer.ranker_ranks[at]),
                moved_by=answer.moved_by[at],
                features=dict(zip(FEATURE_NAMES, answer.features[at].tolist(), strict=True)),
                contributions=dict(zip(FEATURE_NAMES, contributions[at, :-1].tolist(), strict=True)),
                base=float(contributions[at, -1]),
                because="" if reasons is None else in_words(reasons[at], titles),
                reasons=() if reasons is None else reasons[at],
            )
        )
    return described


def reasons(
    generator: CandidateGenerator, user: Histories, item_idx: Int64s, candidates: Int64s
) -> list[tuple[Reason, ...]]:
    """Of each item the ratings that spoke for it, the strongest first; none where no rating did.

    Args:
        generator: the release's.
        user: one user's history at the request.
        item_idx: (n_items,) of the catalogue: what is to be explained.
        candidates: (n_candidates,) what else retrieval found for this request.
    """
    if not len(user.item_idx):
        return [()] * len(item_idx)
    usual = parts_of_scores(generator, user, candidates).mean(axis=0, dtype=np.float64)
    lifts = parts_of_scores(generator, user, item_idx) - usual
    item_ids = generator.model.catalogue.item_ids
    return [
        tuple(
            Reason(
                item_id=int(item_ids[user.item_idx[at]]),
                rating=float(user.ratings[at]),
                timestamp=int(user.timestamps[at]),
                lift=float(own[at]),
            )
            for at in np.argsort(-own, kind="stable")
            if own[at] > 0
        )
        for own in lifts
    ]


def parts_of_scores(generator: CandidateGenerator, user: Histories, item_idx: Int64s) -> Float32s:
    """(n_items, n_ratings) what each rating of one user adds to the retrieval score of some items.

    Args:
        generator: the release's.
        user: one user's history.
        item_idx: (n_items,) of the catalogue.
    """
    added = rating_vectors(generator.model, user)
    parts: Float32s = generator.retriever.item_vectors[item_idx] @ added.T
    return parts


def in_words(found: Sequence[Reason], title_of: dict[int, str]) -> str:
    """A sentence's second half, such as "because you liked Alien (1979) and rated Heat (1995) 3 stars".

    Args:
        found: strongest first.
        title_of: by item id; a movie without a title is called by its id.
    """
    named = [one for one in found[:MOST_NAMED] if one.lift >= LEAST_SHARE * found[0].lift]
    liked = [_title(one, title_of) for one in named if one.rating >= LIKED]
    others = [f"rated {_title(one, title_of)} {stars(one.rating)}" for one in named if one.rating < LIKED]
    told = [*([f"liked {' and '.join(liked)}"] if liked else []), *others]
    return f"because you {' and '.join(told)}" if told else NO_REASON


def stars(rating: float) -> str:
    """A rating in words.

    >>> stars(1.0), stars(4.5)
    ('1 star', '4.5 stars')
    """
    return f"{rating:g} star{'s' * (rating != 1)}"


def titles_of(movies: pl.DataFrame) -> dict[int, str]:
    """item_id -> "Alien (1979)", of the movies that have a title."""
    rows = movies.filter(pl.col("title") != "").select("item_id", "title", "year").iter_rows()
    return {item_id: f"{title} ({year})" if year else title for item_id, title, year in rows}


def rated_by(ratings: pl.DataFrame, movies: pl.DataFrame, user_id: int) -> pl.DataFrame:
    """What a user has rated, latest first: item_id, title, year, rating, timestamp, event_id.

    Args:
        ratings: MERGED_RATINGS: of each movie the latest rating.
        movies: MOVIES; a movie that it lacks has no title and year.
        user_id: whose.

    Raises:
        UnknownUserError: nobody of this id has rated anything.
    """
    own = ratings.filter(user_id=user_id)
    if own.is_empty():
        known = ratings["user_id"].unique().sort().to_list()
        there = f"ids run from {known[0]} to {known[-1]}" if known else "nobody has"
        raise UnknownUserError(f"no user {user_id} has rated anything: {there}")
    titled = own.join(movies.select("item_id", "title", "year"), on="item_id", how="left")
    latest = titled.sort("timestamp", "item_id", descending=[True, False])
    return latest.select("item_id", "title", "year", "rating", "timestamp", "event_id")


def _title(reason: Reason, title_of: dict[int, str]) -> str:
    return title_of.get(reason.item_id) or f"movie {reason.item_id}"
