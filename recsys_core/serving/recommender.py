"""One request through tower, index, features and ranker."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from recsys_core.errors import UnknownUserError
from recsys_core.features.assembler import state_counts
from recsys_core.features.state import Requests, UserStates
from recsys_core.ranking.lists import order_of
from recsys_core.retrieval.encoding import user_vectors
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.requests import Answer, Rated, Request
from recsys_core.serving.users import Users


@dataclass(kw_only=True)
class Recommender:
    """A bundle that answers, and follows what users do meanwhile."""

    bundle: Bundle
    users: Users = field(init=False)

    def __post_init__(self) -> None:
        proposer = self.bundle.proposer
        self.users = Users(catalogue=proposer.tower.catalogue, items=proposer.side, ratings=self.bundle.ratings)

    def answer(self, request: Request) -> Answer:
        """The k best unseen items for whoever asks, best first.

        Of somebody of whom nothing is known, everything is answered as of everybody. Fewer than k come back where the
        user has rated nearly the whole catalogue, or where k exceeds the number of candidates that the ranker learnt
        to order.
        """
        state = self._state(request)
        proposer, ranker = self.bundle.proposer, self.bundle.ranker
        vectors = user_vectors(proposer.tower, state.histories)
        candidates = proposer.candidates(vectors, state.histories, ranker.n_candidates)
        requests = Requests(users=state, requested_at=np.array([request.requested_at]))
        block = proposer.features(requests, vectors, candidates.item_idx)
        present = candidates.item_idx[0] >= 0
        scores = ranker.score(block.values[0, present])
        best = order_of(scores)[: request.k]
        item_idx = candidates.item_idx[0, present][best]
        return Answer(
            request=request,
            item_ids=proposer.tower.catalogue.item_ids[item_idx],
            scores=scores[best],
            probabilities=ranker.probability(scores[best]),
            retrieval_ranks=np.flatnonzero(present)[best] + 1,
            features=block.values[0, present][best],
            states=block.states[0, present][best],
            n_known=len(state.histories.item_idx),
            degraded=state_counts(block),
        )

    def observe(self, user_id: int, rated: Rated) -> None:
        """Take in a rating: requests after it know it."""
        self.users.observe(user_id, rated)

    @property
    def now(self) -> int:
        """The first second that no rating has reached yet: when one asks who asks after all that is known."""
        return int(self.bundle.ratings["timestamp"].max()) + 1  # type: ignore[arg-type]  # never null in RATINGS

    def somebody_who_likes(self, item_ids: Sequence[int], at: int) -> tuple[Rated, ...]:
        """A history of five stars for each of these items, given in the second before a request.

        Raises:
            UnknownUserError: no item is in the catalogue, so that they say nothing.
        """
        wanted = sorted(set(item_ids))
        if not (self.users.catalogue.idx_of(np.array(wanted, dtype=np.int64)) >= 0).any():
            raise UnknownUserError(
                f"none of the movies {wanted} is in the catalogue: find its id with `recsys data movies`"
            )
        return tuple(Rated(item_id=item_id, rating=5.0, timestamp=at - 1) for item_id in wanted)

    def _state(self, request: Request) -> UserStates:
        state = self.users.state_before(request.user_id, request.requested_at)
        for rated in request.history:  # a state takes late ratings too, so the order does not count
            if rated.timestamp < request.requested_at:
                state = self.users.after(state, rated)
        return state
