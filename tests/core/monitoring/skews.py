"""Ways in which an online path may compute something else than training does; each is put into that side alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps

import numpy as np
import pytest

from recsys_core.arrays import Float32s, Int64s
from recsys_core.features import assembler, pairs, state
from recsys_core.features.exposures import Exposures
from recsys_core.features.feature import Feature
from recsys_core.features.registry import FEATURE_NAMES, names_of
from recsys_core.features.state import RequestBatch, UserStates
from recsys_core.serving.user_state import UserExposures, UserStateStore

OF_ITEMS = frozenset(names_of("item"))
OF_TIME = frozenset({"context_hour"})
OF_SLOTS = frozenset({"pair_shown_unclicked"})
OF_USERS = frozenset(FEATURE_NAMES) - OF_ITEMS - OF_TIME
"""What may differ where another history is read."""

OF_FIVE_LATEST = frozenset(
    {
        "pair_recent_genre_affinity",
        "pair_recent_similarity_mean",
        "pair_recent_similarity_max",
        "pair_recent_association",
        "pair_next_lift",
        "pair_before_lift",
    }
)


@dataclass(frozen=True, kw_only=True)
class Skew:
    """A fault of the online side.

    Attributes:
        inject: puts it in.
        named: the features that must be found at fault.
        touched: all that may be; nothing else. TrainingExtras these the score, which follows from them.
    """

    inject: Callable[[pytest.MonkeyPatch], None]
    named: frozenset[str]
    touched: frozenset[str]


def window_of_six(patch: pytest.MonkeyPatch) -> None:
    """A session is the six latest ratings, not the five."""
    patch.setattr(pairs, "N_RECENT", 6)


def computed_otherwise(feature: str, change: Callable[[RequestBatch, Float32s], Float32s]) -> Callable[..., None]:
    """The service has a function of its own for one feature of the request."""

    def other(one: Feature[RequestBatch]) -> Feature[RequestBatch]:
        @wraps(one.function)
        def changed(requests: RequestBatch) -> Float32s:
            return change(requests, one.function(requests)).astype(np.float32)

        return replace(one, function=changed)

    def inject(patch: pytest.MonkeyPatch) -> None:
        of_context = assembler._CONTEXT
        patch.setattr(assembler, "_CONTEXT", tuple(other(one) if one.name == feature else one for one in of_context))

    return inject


def half_stars_for_stars(patch: pytest.MonkeyPatch) -> None:
    """The sums take half stars for stars."""
    counted = state.sum_terms

    def doubled(ratings: Float32s, popularity: Int64s, years: Float32s) -> Int64s:
        return counted(ratings, popularity, years) * np.array([1, 1, 2, 1, 1, 1])

    patch.setattr(state, "sum_terms", doubled)


def own_second_included(patch: pytest.MonkeyPatch) -> None:
    """`<=` for `<`: a request sees what its user did in its own second."""
    before = UserStateStore.state_before
    patch.setattr(UserStateStore, "state_before", lambda users, user_id, time: before(users, user_id, time + 1))


def last_event_not_folded(patch: pytest.MonkeyPatch) -> None:
    """The consumer of events is one event of each user behind."""
    _one_late(patch, UserStateStore, "observe")


def _one_late(patch: pytest.MonkeyPatch, store: type, method: str) -> None:
    """The method (user_id, what) of a store does of each user what it should have done the time before."""
    observe, waiting = getattr(store, method), dict[int, object]()

    def late(one: object, user_id: int, what: object) -> None:
        if user_id in waiting:
            observe(one, user_id, waiting[user_id])
        waiting[user_id] = what

    patch.setattr(store, method, late)


def states_lost(patch: pytest.MonkeyPatch) -> None:
    """The store of states came up empty: everybody is new."""
    before = UserStateStore.state_before

    def nobody(users: UserStateStore, user_id: int | None, time: int) -> UserStates:
        return before(users, None, time)

    patch.setattr(UserStateStore, "state_before", nobody)


def last_answer_not_noted(patch: pytest.MonkeyPatch) -> None:
    """What users were shown is noted one request late."""
    _one_late(patch, UserExposures, "observe_shown")


def own_answer_included(patch: pytest.MonkeyPatch) -> None:
    """What is shown in the second of a request counts already."""
    before = UserExposures.before

    def one_too_many(exposures: UserExposures, user_id: int | None, time: int) -> Exposures:
        return replace(before(exposures, user_id, time + 1), requested_at=np.array([time]))

    patch.setattr(UserExposures, "before", one_too_many)


SKEWS = {
    "a window off by one": Skew(inject=window_of_six, named=OF_FIVE_LATEST, touched=OF_FIVE_LATEST),
    "hours for days": Skew(
        inject=computed_otherwise("context_days_since_last", lambda _, days: days * 24),
        named=frozenset({"context_days_since_last"}),
        touched=frozenset({"context_days_since_last"}),
    ),
    "half stars for stars": Skew(
        inject=half_stars_for_stars, named=frozenset({"user_mean_rating"}), touched=frozenset({"user_mean_rating"})
    ),
    "another time zone": Skew(
        inject=computed_otherwise(
            "context_hour", lambda requests, _: (requests.requested_at + 7_200) % 86_400 // 3_600
        ),
        named=OF_TIME,
        touched=OF_TIME,
    ),
    "events of the request's own second": Skew(
        inject=own_second_included,
        named=frozenset({"user_n_ratings", "context_days_since_last", "pair_last_association"}),
        touched=OF_USERS,
    ),
    "the last event not folded in": Skew(
        inject=last_event_not_folded,
        named=frozenset({"user_n_ratings", "user_mean_rating", "pair_retrieval_score"}),
        touched=OF_USERS,
    ),
    "what was shown counted one request late": Skew(inject=last_answer_not_noted, named=OF_SLOTS, touched=OF_SLOTS),
    "slots of the request's own second": Skew(inject=own_answer_included, named=OF_SLOTS, touched=OF_SLOTS),
    "states lost": Skew(
        inject=states_lost,
        named=frozenset({"user_n_ratings", "user_like_share", "pair_liked_association", "context_days_since_last"}),
        touched=OF_USERS,
    ),
}
