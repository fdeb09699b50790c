"""Explanations of an answer: titles, positions, and the ratings of the user that raised each movie's score.

The retrieval score is a sum. Each rating of the history adds its part to the user's vector, and so to the dot product
with a movie. The rest belongs to no rating: the popularity of the movie, now and overall, and a part that all users
share. A reason is therefore a part of the score itself, not a similarity computed beside the model.

A rating that raises all candidates alike says nothing about one of them. Each part is therefore measured relative to
its mean over the other candidates of the request.
"""

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
from recsys_core.retrieval.model import rating_vectors
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.requests import Answer

MOST_NAMED = 2
"""Reasons that are named in words: a third one usually adds little."""


LEAST_SHARE = 0.3
"""A further reason is named if its lift is at least this share of the first one's."""


NO_REASON = "because many like it: nothing that you rated speaks for it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One rating of the user's history that raised the score of a movie."""

    item_id: int
    rating: float  # stars that the user gave
    timestamp: int  # seconds UTC
    lift: float  # its part of this movie's retrieval score, minus its mean part over the candidates


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One place of an answer, with the values that put it there."""

    rank: int  # from 1
    item_id: int
    title: str
    year: int | None
    genres: list[str]
    score: float  # of the ranker: orders this answer before list rules; not comparable between answers
    probability: float | None  # that the user will like it; None where the ranker is not calibrated
    retrieval_rank: int  # from 1, among the candidates
    ranker_rank: int  # from 1, its place without list rules
    moved_by: str  # the list rule that moved it from there; "" where none did
    features: dict[str, float]  # that the ranker read; NaN where undefined
    contributions: dict[str, float]  # SHAP value of each feature: its effect on the score
    base: float  # the expected value of SHAP, the same for every movie: base + contributions = score
    because: str  # the reasons in words; "" where none were requested
    reasons: tuple[Reason, ...]  # the user's ratings that raised its retrieval score, the strongest first


def describe(
    bundle: Bundle, answer: Answer, reasons: Sequence[tuple[Reason, ...]] | None = None
) -> list[Recommendation]:
    """Each place of an answer, best first; an item that the movie table lacks has no title, year and genres.

    Args:
        bundle: the bundle that answered.
        answer: its answer.
        reasons: of each place, as `Recommender.reasons` gives them; None to leave them out.
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
    """For each item, the ratings that raised its score, the strongest first; empty where no rating did.

    Args:
        generator: of the release.
        user: one user's history at the request.
        item_idx: (n_items,) of the catalogue: the items to explain.
        candidates: (n_candidates,) all candidates of this request.
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
    """(n_items, n_ratings) the part of each rating of one user in the retrieval score of some items.

    Args:
        generator: of the release.
        user: one user's history.
        item_idx: (n_items,) of the catalogue.
    """
    added = rating_vectors(generator.model, user)
    parts: Float32s = generator.retriever.item_vectors[item_idx] @ added.T
    return parts


def in_words(found: Sequence[Reason], title_of: dict[int, str]) -> str:
    """The second half of a sentence, such as "because you liked Alien (1979) and rated Heat (1995) 3 stars".

    Args:
        found: strongest first.
        title_of: by item id; a movie without a title is named by its id.
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
    """The ratings of a user, latest first: item_id, title, year, rating, timestamp, event_id.

    Args:
        ratings: MERGED_RATINGS: the latest rating of each user and movie.
        movies: MOVIES; a movie that it lacks has no title and year.
        user_id: the user.

    Raises:
        UnknownUserError: there is no rating of this user.
    """
    own = ratings.filter(user_id=user_id)
    if own.is_empty():
        known = ratings["user_id"].unique().sort().to_list()
        there = f"ids run from {known[0]} to {known[-1]}" if known else "there are no ratings"
        raise UnknownUserError(f"no user {user_id} has rated anything: {there}")
    titled = own.join(movies.select("item_id", "title", "year"), on="item_id", how="left")
    latest = titled.sort("timestamp", "item_id", descending=[True, False])
    return latest.select("item_id", "title", "year", "rating", "timestamp", "event_id")


def _title(reason: Reason, title_of: dict[int, str]) -> str:
    return title_of.get(reason.item_id) or f"movie {reason.item_id}"
