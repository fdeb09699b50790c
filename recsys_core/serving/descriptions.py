"""An answer in words: titles beside ids, and why each movie is where it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from recsys_core.errors import UnknownUserError
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.reasons import Reason, in_words
from recsys_core.serving.requests import Answer


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
