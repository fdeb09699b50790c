"""An answer in words: titles beside ids, and why each movie is where it is."""

from dataclasses import dataclass

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.serving.bundle import Bundle
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


def describe(bundle: Bundle, answer: Answer) -> list[Recommendation]:
    """Each place of an answer, best first; an item that the movie table lacks has no title, year and genres."""
    about = {row["item_id"]: row for row in bundle.movies.iter_rows(named=True)}
    contributions = bundle.ranker.contributions(answer.features)[:, :-1]
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
                contributions=dict(zip(FEATURE_NAMES, contributions[at].tolist(), strict=True)),
            )
        )
    return described
