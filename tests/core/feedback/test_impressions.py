"""Lines of requests and impressions: as the log's records, or refused with the reason."""

import json
import math

import pytest

from recsys_core.data.quarantine import BadRow
from recsys_core.feedback.impressions import history_text, impression_of, read_history, request_of
from recsys_core.feedback.records import unpack_features
from tests.core.feedback.rows import impression, request

REQUEST: dict[str, object] = {
    "request_id": "r1",
    "user_id": None,
    "history": [[318, 4.5, 1_499_990_000], [1, 3, 1_499_990_001]],
    "k": 2,
    "requested_at": 1_499_990_401,
    "served_at": 1_499_990_401_250_000,
    "release": "v1",
}

IMPRESSION: dict[str, object] = {
    "request_id": "r1",
    "user_id": 7,
    "item_id": 101,
    "position": 1,
    "release": "v1",
    "policy": "greedy",
    "propensity": 0.9,
    "score": 1.25,
    "retrieval_score": 0.1,
    "retrieval_rank": 3,
    "probability": None,
    "feature_set": "f1",
    "features": [0.1, None, -2.5],
    "feature_states": [0, 1, 2],
    "requested_at": 1_499_990_401,
    "served_at": 1_499_990_401_250_000,
}


def refusal(read: object, values: dict[str, object]) -> tuple[str, str]:
    with pytest.raises(BadRow) as caught:
        read(json.loads(json.dumps(values)))  # type: ignore[operator]
    return caught.value.column, caught.value.reason


def test_a_request_keeps_every_value() -> None:
    history = "[[318,4.5,1499990000],[1,3.0,1499990001]]"
    assert request_of(dict(REQUEST)) == request(user_id=None, history=history)
    assert request_of(REQUEST | {"history": None, "user_id": 7}) == request()
    assert request_of(REQUEST | {"history": []}).history == "[]", "known to have no history, not unknown"


def test_a_history_comes_back_as_it_was_given() -> None:
    history = [(318, 4.5, 1_499_990_000), (2**53 - 1, 0.5, 1_499_990_001)]
    assert read_history(history_text(history)) == history


def test_an_impression_keeps_every_value_and_null_is_a_missing_feature() -> None:
    read = impression_of(dict(IMPRESSION))
    assert read == impression()
    assert math.isnan(unpack_features([read.features])[0, 1])


@pytest.mark.parametrize("key", [*REQUEST])
def test_a_request_without_a_key_is_refused(key: str) -> None:
    values = {name: value for name, value in REQUEST.items() if name != key}
    assert refusal(request_of, values) == (key, "missing key")


@pytest.mark.parametrize("key", [*IMPRESSION])
def test_an_impression_without_a_key_is_refused(key: str) -> None:
    values = {name: value for name, value in IMPRESSION.items() if name != key}
    assert refusal(impression_of, values) == (key, "missing key")


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"history": {}}, "history", "wrong type"),
        ({"history": [[1, 2.0]]}, "history", "not [item_id, rating, timestamp]"),
        ({"history": [1]}, "history", "not [item_id, rating, timestamp]"),
        ({"history": [[1, 3.7, 1_499_990_000]]}, "history", "off the half-star grid"),
        ({"history": [[-1, 3.5, 1_499_990_000]]}, "history", "negative"),
        ({"history": [[1, 3.5, 1_499_990_000_000]]}, "history", "milliseconds, not seconds"),
        ({"k": 0}, "k", "not from 1 on"),
        ({"mood": "glad"}, "", "unknown key"),
    ],
)
def test_a_request_that_is_none_is_refused(changes: dict[str, object], column: str, reason: str) -> None:
    assert refusal(request_of, REQUEST | changes) == (column, reason)


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"features": "0.1"}, "features", "wrong type"),
        ({"features": [0.1, "x", 1]}, "features", "wrong type"),
        ({"features": [0.1, 1e39, 1]}, "features", "beyond float32"),
        ({"features": [0.1, 10**400, 1]}, "features", "not a finite number"),
        ({"features": [0.1]}, "feature_states", "not as many as features"),
        ({"feature_states": [0, 1, 7]}, "feature_states", "unknown state of a feature"),
        ({"feature_states": [0, 1, 300]}, "feature_states", "unknown state of a feature"),
        ({"feature_states": [0, 1, 1.0]}, "feature_states", "wrong type"),
        ({"feature_states": "012"}, "feature_states", "wrong type"),
        ({"propensity": 0}, "propensity", "a chance of 0"),
    ],
)
def test_an_impression_that_is_none_is_refused(changes: dict[str, object], column: str, reason: str) -> None:
    assert refusal(impression_of, IMPRESSION | changes) == (column, reason)
