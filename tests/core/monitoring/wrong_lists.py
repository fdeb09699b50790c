"""Ways in which a recommender may show another list than the one that belongs there; each is put into serving alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from recsys_core.arrays import Float32s, Int64s
from recsys_core.monitoring.parity import ABSENT, N_SLOTS, PLACE
from recsys_core.ranking import lists
from recsys_core.ranking.lists import order_of
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Request

Inject = Callable[[pytest.MonkeyPatch], None]

PROBABILITY, RANK, SCORE, RETRIEVAL_SCORE = "probability", "retrieval rank", "score", "retrieval score"


@dataclass(frozen=True, kw_only=True)
class WrongList:
    """A fault of the recommender.

    Attributes:
        inject: puts it in.
        named: the faults of lists that must be found, and no others.
    """

    inject: Inject
    named: frozenset[str]


def ordered_by(order: Callable[[Float32s], Int64s]) -> Inject:
    """The recommender orders its candidates, which come in the order of retrieval, in another way."""
    return lambda patch: patch.setattr(lists, "order_of", order)


def answered_by(change: Callable[[Answer], Answer]) -> Inject:
    """The recommender changes its answer at last."""

    def inject(patch: pytest.MonkeyPatch) -> None:
        good = Recommender.answer
        patch.setattr(Recommender, "answer", lambda served, request: change(good(served, request)))

    return inject


def asked_for(k: int) -> Inject:
    """The recommender shows so many, whatever was asked for; the log says what was asked."""

    def inject(patch: pytest.MonkeyPatch) -> None:
        good = Recommender.answer

        def answer(served: Recommender, request: Request) -> Answer:
            return replace(good(served, replace(request, k=k)), request=request)

        patch.setattr(Recommender, "answer", answer)

    return inject


def only(answer: Answer, places: Int64s) -> Answer:
    """Some slots of an answer, in an order."""
    assert answer.probabilities is not None
    return replace(
        answer,
        item_ids=answer.item_ids[places],
        scores=answer.scores[places],
        probabilities=answer.probabilities[places],
        retrieval_ranks=answer.retrieval_ranks[places],
        features=answer.features[places],
        states=answer.states[places],
    )


def swapped(scores: Float32s) -> Int64s:
    order = order_of(scores)
    order[[4, 5]] = order[[5, 4]]
    return order


def others_named(answer: Answer) -> Answer:
    """Each slot bears the id of its neighbour, so that features and items do not belong together."""
    return replace(answer, item_ids=np.roll(answer.item_ids, 1))


def first_named_otherwise(answer: Answer) -> Answer:
    """An item of no catalogue stands for the first."""
    return replace(answer, item_ids=np.concatenate([[77], answer.item_ids[1:]]))


OF_ITEMS = frozenset({RANK, SCORE, RETRIEVAL_SCORE, PROBABILITY})

WRONG_LISTS = {
    "the worst instead of the best": WrongList(
        inject=ordered_by(lambda scores: order_of(-scores)), named=frozenset({PLACE})
    ),
    "the ranker ignored": WrongList(inject=ordered_by(lambda scores: np.arange(len(scores))), named=frozenset({PLACE})),
    "the best three dropped": WrongList(
        inject=ordered_by(lambda scores: order_of(scores)[3:]), named=frozenset({PLACE})
    ),
    "each item twice": WrongList(
        inject=ordered_by(lambda scores: np.repeat(order_of(scores), 2)), named=frozenset({PLACE})
    ),
    "two neighbours swapped": WrongList(inject=ordered_by(swapped), named=frozenset({PLACE})),
    "the last slot missing": WrongList(
        inject=answered_by(lambda answer: only(answer, np.arange(9))), named=frozenset({N_SLOTS})
    ),
    "a slot in the middle missing": WrongList(
        inject=answered_by(lambda answer: only(answer, np.array([0, 1, 2, 3, 5, 6, 7, 8, 9]))),
        named=frozenset({N_SLOTS, PLACE}),
    ),
    "no slot at all": WrongList(
        inject=answered_by(lambda answer: only(answer, np.array([], dtype=np.int64))), named=frozenset({N_SLOTS})
    ),
    "ids of other candidates": WrongList(inject=answered_by(others_named), named=OF_ITEMS | {PLACE}),
    "an id of no candidate": WrongList(inject=answered_by(first_named_otherwise), named=frozenset({PLACE, ABSENT})),
    "more than k": WrongList(inject=asked_for(12), named=frozenset({N_SLOTS, PLACE})),
    "fewer than k": WrongList(inject=asked_for(5), named=frozenset({N_SLOTS})),
    "a constant probability": WrongList(
        inject=answered_by(lambda answer: replace(answer, probabilities=np.full(len(answer.item_ids), 0.5))),
        named=frozenset({PROBABILITY}),
    ),
    "no probability": WrongList(
        inject=answered_by(lambda answer: replace(answer, probabilities=None)), named=frozenset({PROBABILITY})
    ),
    "ranks of retrieval from two": WrongList(
        inject=answered_by(lambda answer: replace(answer, retrieval_ranks=answer.retrieval_ranks + 1)),
        named=frozenset({RANK}),
    ),
    "scores of another scale": WrongList(
        inject=answered_by(lambda answer: replace(answer, scores=answer.scores * np.float32(2))),
        named=frozenset({SCORE}),
    ),
}
