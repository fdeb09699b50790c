"""An answer -> the rows of the event log: who asked, and each slot that was shown, with what the ranker read for it."""

from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.feedback import records
from recsys_core.feedback.parsing import history_text
from recsys_core.ranking.config import ListRulesConfig
from recsys_core.serving.requests import Answer

GREEDY = "greedy"
"""The policy that shows the best by the ranker, each with propensity 1: nothing is tried out.

List rules that are on follow with their settings: `policy_name`."""

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


def request_record(answer: Answer, release: str, served_at: int) -> records.Request:
    """The request of an answer.

    Args:
        answer: what was shown.
        release: which bundle answered.
        served_at: microseconds UTC.
    """
    asked = answer.request
    history = [(one.item_id, one.rating, one.timestamp) for one in asked.history]
    return records.Request(
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
