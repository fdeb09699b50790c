"""Requests, answers and events, as plain data."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Float32s, Int64s
from recsys_core.features.assembler import UInt8s
from recsys_core.ranking.config import ListRulesConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Rated:
    """One rating, given with a request or just now."""

    item_id: int
    rating: float  # stars
    timestamp: int  # seconds UTC


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """The items that an answer showed to a user."""

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
    """A request for a list.

    Attributes:
        request_id: unique; joins impressions and events to the request.
        user_id: the user whose logged events are read; None without a user.
        history: ratings in addition to the logged ones; without a user, the only ones.
        requested_at: seconds UTC; only events strictly before it count.
        k: length of the answer.
    """

    request_id: str
    requested_at: int
    user_id: int | None = None
    history: tuple[Rated, ...] = ()
    k: int = 10


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The items for a request in the order shown, with the values that ordered them; n <= k.

    Attributes:
        request: the request.
        item_ids: (n,).
        scores: (n,) of the ranker, which order this answer before list rules; not comparable between answers.
        probabilities: (n,) that the user will like the item; None where the ranker is not calibrated.
        retrieval_ranks: (n,) place among the candidates, from 1.
        ranker_ranks: (n,) place by score alone, from 1, which the item would have without list rules.
        moved_by: (n,) the list rule that moved the item from there; "" where none did.
        list_rules: settings of the list rules.
        features: (n, n_features) that the ranker read.
        states: (n, n_features) FRESH, MISSING or STALE for each of these values.
        n_known: number of known ratings of the user, within the catalogue; with 0, this is the default list.
        degraded: number of missing and of stale values of each feature over all candidates, of `state_counts`.
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
        """The event that the user saw this answer in a second, UTC, for `Recommender.observe`."""
        item_ids = tuple(self.item_ids.tolist())
        return Shown(request_id=self.request.request_id, item_ids=item_ids, timestamp=timestamp)
