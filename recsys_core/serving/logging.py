"""An answer -> the rows of the event log: the request, and each slot with the features that the ranker read for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.feedback import records
from recsys_core.feedback.parsing import history_text
from recsys_core.ranking.config import ListRulesConfig
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Request

GREEDY = "greedy"
"""The policy that shows the highest scores of the ranker, each with propensity 1, without exploration.

`policy_name` appends the list rules that are on, with their settings."""

WARM_UP = 20
"""Answers that are not timed: the first ones load code and fill caches."""

_SCORE = FEATURE_NAMES.index("pair_retrieval_score")


def policy_name(rules: ListRulesConfig) -> str:
    """The policy that fills slots under these rules, in the order in which they act.

    >>> policy_name(ListRulesConfig())
    'greedy'
    >>> policy_name(ListRulesConfig(rewatch_after_days=365, tired_after=3, most_per_franchise=2, diversity=0.2))
    'greedy+rewatch365+fatigue3+mmr0.2+franchise2'
    """
    parts = [GREEDY]
    if rules.rewatch_after_days is not None:
        parts.append(f"rewatch{rules.rewatch_after_days}")
    if rules.tired_after is not None:
        parts.append(f"fatigue{rules.tired_after}")
    if rules.diversity:
        parts.append(f"mmr{rules.diversity!r}")
    if rules.most_per_franchise is not None:
        parts.append(f"franchise{rules.most_per_franchise}")
    return "+".join(parts)


def request_record(answer: Answer, release: str, served_at: int) -> records.RequestRecord:
    """The request of an answer.

    Args:
        answer: the answer that was shown.
        release: the bundle that answered.
        served_at: microseconds UTC.
    """
    asked = answer.request
    history = [(one.item_id, one.rating, one.timestamp) for one in asked.history]
    return records.RequestRecord(
        request_id=asked.request_id,
        user_id=asked.user_id,
        history=history_text(history) if history else None,
        k=asked.k,
        requested_at=asked.requested_at,
        served_at=served_at,
        release=release,
    )


def impression_records(answer: Answer, release: str, served_at: int) -> list[records.Impression]:
    """Each slot of an answer; the arguments are those of `request_record`."""
    asked, version, policy = answer.request, feature_set_version(), policy_name(answer.list_rules)
    return [
        records.Impression(
            request_id=asked.request_id,
            user_id=asked.user_id,
            item_id=item_id,
            position=at + 1,
            release=release,
            policy=policy,
            propensity=1.0,
            score=float(answer.scores[at]),
            retrieval_score=float(answer.features[at, _SCORE]),
            retrieval_rank=int(answer.retrieval_ranks[at]),
            probability=None if answer.probabilities is None else float(answer.probabilities[at]),
            feature_set=version,
            features=records.pack_features(answer.features[at]),
            feature_states=answer.states[at].tobytes(),
            requested_at=asked.requested_at,
            served_at=served_at,
        )
        for at, item_id in enumerate(answer.item_ids.tolist())
    ]


@dataclass(kw_only=True)
class LoggedSession:
    """Requests answered one after the other, each logged in the second of the request and seen by its user at once.

    Attributes:
        recommender: computes each answer, and then observes what it showed.
        requests: of all answers so far, in order.
        impressions: their slots.
    """

    recommender: Recommender
    requests: list[records.RequestRecord] = field(default_factory=list)
    impressions: list[records.Impression] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        """Answer, log the rows, and let the recommender observe the slots where the request names a user."""
        answer = self.recommender.answer(request)
        release, served_at = self.recommender.bundle.release, request.requested_at * 1_000_000
        self.requests.append(request_record(answer, release, served_at))
        self.impressions += impression_records(answer, release, served_at)
        if request.user_id is not None:
            self.recommender.observe(request.user_id, answer.as_shown(request.requested_at))
        return answer


def latencies_ms(bundle: Bundle, requests: Iterable[Request], clock: Callable[[], float]) -> npt.NDArray[np.float64]:
    """Milliseconds from each request to its log rows, without the first `WARM_UP`, one after the other in one thread.

    Args:
        bundle: the release that answers.
        requests: the requests to answer.
        clock: seconds; core reads no clock itself.
    """
    recommender, taken = Recommender(bundle=bundle), []
    for request in requests:
        started = clock()
        answer = recommender.answer(request)
        request_record(answer, bundle.release, 0)
        impression_records(answer, bundle.release, 0)
        taken.append(1000 * (clock() - started))
    return np.array(taken[WARM_UP:])
