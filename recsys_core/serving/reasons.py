"""Why a movie was found, in words: which of the user's own ratings carried it.

The retrieval score is a sum. Each rating of the history adds its part to the user's vector, and so to the dot product
with a movie; what is left belongs to no rating: how popular the movie is, now and on the whole, and what all users
share. So a reason is no guess and no likeness that was computed beside the model, but a part of the score itself.

A rating that speaks for every candidate alike says nothing of this one. So each part is measured against its mean over
the movies that retrieval could have offered instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.data.schemas import LIKED
from recsys_core.ranking.inputs import CandidateGenerator
from recsys_core.retrieval.vectors import rating_vectors

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


def _title(reason: Reason, title_of: dict[int, str]) -> str:
    return title_of.get(reason.item_id) or f"movie {reason.item_id}"
