"""What is asked and what is answered, as plain data."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Float32s, Int64s
from recsys_core.features.assembler import UInt8s
from recsys_core.ranking.config import ListRulesConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Rated:
    """One rating that comes with a request, or that a user has just given."""

    item_id: int
    rating: float  # stars
    timestamp: int  # seconds UTC


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What an answer put in front of a user."""

    request_id: str
    item_ids: tuple[int, ...]
    timestamp: int  # seconds UTC


@dataclass(frozen=True, kw_only=True, slots=True)
class Clicked:
    """One item that a user opened."""

    item_id: int
    timestamp: int  # seconds UTC


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """Who asks, when, and for how much.

    Attributes:
        request_id: unique; what was shown and done is joined by it.
        user_id: whose logged ratings are read; None for somebody unnamed.
        history: ratings beyond the logged ones: all there is of somebody unnamed, the latest of somebody named.
        requested_at: seconds UTC; of all ratings, only those strictly before it count.
        k: length of the answer.
    """

    request_id: str
    requested_at: int
    user_id: int | None = None
    history: tuple[Rated, ...] = ()
    k: int = 10


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The items for a request in the order shown, with all that put them there; n <= k, fewer where there are no more.

    Attributes:
        request: what was asked.
        item_ids: (n,).
        scores: (n,) of the ranker: they order this answer, before list rules, and mean nothing beyond it.
        probabilities: (n,) that the user goes on to like the item; None where the ranker is not calibrated.
        retrieval_ranks: (n,) place among the candidates, from 1.
        ranker_ranks: (n,) place by score alone, from 1: where the item would stand without list rules.
        moved_by: (n,) the list rule that moved the item from there; "" where none did.
        list_rules: which rules were on.
        features: (n, n_features) what the ranker read.
        states: (n, n_features) which of these values are fresh, missing or stale.
        n_known: how many ratings of the catalogue are known of who asks: with 0, this is what everybody gets.
        degraded: how many values of each feature were missing and stale over all candidates, as `state_counts`.
    """

    request: Request
    item_ids: Int64s
    scores: Float32s
    probabilities: npt.NDArray[np.float64] | None
    retrieval_ranks: Int64s
    ranker_ranks: Int64s
    moved_by: tuple[str, ...]
    list_rules: ListRulesConfig
    features: Float32s
    states: UInt8s
    n_known: int
    degraded: dict[str, dict[str, int]]

    def as_shown(self, timestamp: int) -> Shown:
        """What a user sees of it in a second, UTC: for the recommender to take in once it is logged."""
        item_ids = tuple(self.item_ids.tolist())
        return Shown(request_id=self.request.request_id, item_ids=item_ids, timestamp=timestamp)
