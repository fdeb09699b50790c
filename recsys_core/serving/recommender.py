"""Answer one request: user vector, candidates, features, ranker and list rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.errors import UnknownUserError
from recsys_core.features.assembler import state_counts
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.features.state import RequestBatch, UserStates
from recsys_core.ranking.lists import ListedItems, apply_rules, listed_items
from recsys_core.retrieval.candidates import Candidates, seen_at
from recsys_core.retrieval.model import user_vectors
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.explanations import Reason, reasons
from recsys_core.serving.requests import Answer, Clicked, Rated, Request, Shown
from recsys_core.serving.user_state import UserExposures, UserStateStore

SHOWN_UNCLICKED = FEATURE_NAMES.index("pair_shown_unclicked")


@dataclass(kw_only=True)
class Recommender:
    """A bundle that answers requests, and observes the events of its users."""

    bundle: Bundle
    users: UserStateStore = field(init=False)
    exposures: UserExposures = field(init=False)
    listed: ListedItems = field(init=False, repr=False)

    def __post_init__(self) -> None:
        generator = self.bundle.generator
        self.users = UserStateStore(
            catalogue=generator.model.catalogue, items=generator.items, ratings=self.bundle.ratings
        )
        self.exposures = UserExposures(catalogue=generator.model.catalogue)
        self.listed = listed_items(generator, self.bundle.movies)

    def answer(self, request: Request) -> Answer:
        """The k best unseen items, best first, then reordered by the list rules that are on.

        Unknown users get the default list. The answer holds fewer than k items where the user has rated nearly the
        whole catalogue, or where k exceeds the number of candidates of the ranker.
        """
        state = self._state(request)
        generator, ranker = self.bundle.generator, self.bundle.ranker
        exposures = self.exposures.before(request.user_id, request.requested_at)
        requests = RequestBatch(users=state, requested_at=exposures.requested_at, exposures=exposures)
        vectors, candidates = self._retrieved(state.histories, requests.requested_at)
        block = generator.features(requests, vectors, candidates.item_idx)
        present = candidates.item_idx[0] >= 0
        item_idx, features = candidates.item_idx[0, present], block.values[0, present]
        scores, shown_unclicked = ranker.score(features), features[:, SHOWN_UNCLICKED]
        final = apply_rules(item_idx, scores, self.listed, ranker.list_rules, request.k, shown_unclicked)
        best = final.places
        return Answer(
            request=request,
            item_ids=generator.model.catalogue.item_ids[item_idx[best]],
            scores=scores[best],
            probabilities=ranker.probability(scores[best]),
            retrieval_ranks=np.flatnonzero(present)[best] + 1,
            ranker_ranks=final.ranker_ranks,
            moved_by=final.moved_by,
            list_rules=ranker.list_rules,
            features=features[best],
            states=block.states[0, present][best],
            n_known=len(state.histories.item_idx),
            degraded=state_counts(block),
        )

    def reasons(self, answer: Answer) -> list[tuple[Reason, ...]]:
        """For each place of an answer, the ratings that raised the score of its movie, the strongest first.

        They are computed from the present state of the user: call this before further events are observed.
        """
        generator, request = self.bundle.generator, answer.request
        user = self._state(request).histories
        _, candidates = self._retrieved(user, np.array([request.requested_at]))
        found = candidates.item_idx[0]
        return reasons(generator, user, generator.model.catalogue.idx_of(answer.item_ids), found[found >= 0])

    def observe(self, user_id: int, what: Rated | Shown | Clicked) -> None:
        """Add a rating, the slots of an answer, or a click, which later requests then use."""
        match what:
            case Rated():
                self.users.observe(user_id, what)
            case Shown():
                self.exposures.observe_shown(user_id, what)
            case Clicked():
                self.exposures.observe_click(user_id, what)

    @property
    def now(self) -> int:
        """The first second after all known ratings."""
        return int(self.bundle.ratings["timestamp"].max()) + 1  # type: ignore[arg-type]  # never null in RATINGS

    def somebody_who_likes(self, item_ids: Sequence[int], at: int) -> tuple[Rated, ...]:
        """A history of five stars for each of these items, given in the second before a request.

        Raises:
            UnknownUserError: no item is in the catalogue, so that the history would be empty.
        """
        wanted = sorted(set(item_ids))
        unknown = self.unknown_movies(wanted)
        if len(unknown) == len(wanted):
            raise UnknownUserError(f"none of the movies {wanted} is in the catalogue: {'; '.join(unknown.values())}")
        return tuple(Rated(item_id=item_id, rating=5.0, timestamp=at - 1) for item_id in wanted)

    def unknown_movies(self, item_ids: Sequence[int]) -> dict[int, str]:
        """The movies that the models do not know, so that rating them changes nothing; a sentence with the reason."""
        asked = np.array(item_ids, dtype=np.int64)
        unknown = asked[self.users.catalogue.idx_of(asked) < 0].tolist()
        titles = dict(
            self.bundle.movies.filter(pl.col("item_id").is_in(unknown)).select("item_id", "title").iter_rows()
        )
        return {one: _unknown(one, titles.get(one)) for one in unknown}

    def _retrieved(self, user: Histories, requested_at: Int64s) -> tuple[Float32s, Candidates]:
        """The vector of one user, and the candidates for the ranker."""
        generator, ranker = self.bundle.generator, self.bundle.ranker
        vectors = user_vectors(generator.model, user)
        seen = seen_at(user, requested_at, ranker.list_rules.rewatch_after_days)
        return vectors, generator.retriever.candidates(vectors, seen, requested_at, ranker.n_candidates)

    def _state(self, request: Request) -> UserStates:
        state = self.users.state_before(request.user_id, request.requested_at)
        for rated in request.history:  # a state accepts late ratings, so the order does not matter
            if rated.timestamp < request.requested_at:
                state = self.users.after(state, rated)
        return state


def _unknown(item_id: int, title: str | None) -> str:
    if title is None:
        return f"no movie has the id {item_id}: `recsys data movies` finds ids"
    return (
        f"{title} ({item_id}) had no rating when the models were fitted, so they do not know it: name another "
        "movie, or append a rating of it to the log and `recsys refresh`"
    )
