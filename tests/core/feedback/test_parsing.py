"""One line of JSON is an event, a request or an impression, exactly as written, or is refused with the reason."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.fields import BadRow
from recsys_core.feedback.parsing import (
    check_keys,
    event_of,
    history_text,
    impression_of,
    object_of,
    read_history,
    request_of,
)
from recsys_core.feedback.records import Event, unpack_features
from tests.core.feedback.rows import impression, request

RATING: dict[str, object] = {
    "event_id": "e1",
    "user_id": 7,
    "item_id": 31,
    "kind": "rating",
    "value": 3.5,
    "timestamp": 1_500_000_000,
    "received_at": 1_500_000_010,
}
CLICK = RATING | {"kind": "click", "value": None}


def line(**changes: object) -> bytes:
    return json.dumps(RATING | changes).encode()


def parse_event(data: bytes, future_tolerance_s: int) -> Event:
    return event_of(object_of(data), future_tolerance_s)


def refusal_of_line(data: bytes) -> tuple[str, str]:
    with pytest.raises(BadRow) as caught:
        parse_event(data, 300)
    caught.value.value.encode()  # it goes into a table
    return caught.value.column, caught.value.reason


def test_an_event_keeps_every_value_and_the_keys_may_come_in_any_order() -> None:
    event = parse_event(json.dumps(dict(reversed(RATING.items()))).encode(), 300)
    assert event == Event(
        event_id="e1",
        user_id=7,
        item_id=31,
        kind="rating",
        value=3.5,
        timestamp=1_500_000_000,
        received_at=1_500_000_010,
    )


def test_a_whole_number_of_stars_is_a_rating_too() -> None:
    assert parse_event(line(value=4), 300).value == 4.0


@pytest.mark.parametrize("kind", ["click", "skip"])
def test_other_kinds_have_no_value(kind: str) -> None:
    assert parse_event(line(kind=kind, value=None), 300).value is None
    assert refusal_of_line(line(kind=kind)) == ("value", "only a rating has a value")


def test_an_event_may_be_dated_after_its_arrival_by_the_tolerance_and_no_more() -> None:
    assert parse_event(line(timestamp=1_500_000_310), 300).timestamp == 1_500_000_310
    assert refusal_of_line(line(timestamp=1_500_000_311)) == ("timestamp", "from the future")


def test_an_event_that_arrives_years_late_keeps_its_own_time() -> None:
    assert parse_event(line(timestamp=1_000_000_000), 300).timestamp == 1_000_000_000


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"user_id": "7"}, "user_id", "wrong type"),
        ({"user_id": 7.0}, "user_id", "wrong type"),
        ({"user_id": True}, "user_id", "wrong type"),
        ({"user_id": None}, "user_id", "wrong type"),
        ({"user_id": [[[7]]]}, "user_id", "wrong type"),
        ({"item_id": -1}, "item_id", "negative"),
        ({"item_id": 2**63}, "item_id", "beyond int64"),
        ({"item_id": 4_611_686_018_427_387_902}, "item_id", "id beyond 2**53 - 1"),
        ({"user_id": 2**53}, "user_id", "id beyond 2**53 - 1"),
        ({"event_id": 1}, "event_id", "wrong type"),
        ({"event_id": ""}, "event_id", "not of 1 to 128 characters"),
        ({"event_id": "x" * 129}, "event_id", "not of 1 to 128 characters"),
        ({"event_id": "\ud800"}, "event_id", "not printable"),
        ({"event_id": "a\nb"}, "event_id", "not printable"),
        ({"kind": "like"}, "kind", "unknown kind"),
        ({"kind": 1}, "kind", "wrong type"),
        ({"value": None}, "value", "wrong type"),
        ({"value": "3.5"}, "value", "wrong type"),
        ({"value": True}, "value", "wrong type"),
        ({"value": 3.7}, "value", "off the half-star grid"),
        ({"value": 11}, "value", "outside 0.5 to 5"),
        ({"value": 10**400}, "value", "outside 0.5 to 5"),
        ({"value": float("nan")}, "", "not a finite number"),
        ({"value": float("-inf")}, "", "not a finite number"),
        ({"timestamp": 0}, "timestamp", "before MovieLens' first rating"),
        ({"timestamp": 1_500_000_000_000}, "timestamp", "milliseconds, not seconds"),
        ({"received_at": 1.5e9}, "received_at", "wrong type"),
        ({"mood": "glad"}, "", "unknown key"),
    ],
)
def test_a_value_that_is_not_as_declared_is_refused(changes: dict[str, object], column: str, reason: str) -> None:
    assert refusal_of_line(line(**changes)) == (column, reason)


@pytest.mark.parametrize("key", RATING)
def test_a_missing_key_is_refused(key: str) -> None:
    assert refusal_of_line(json.dumps({name: value for name, value in RATING.items() if name != key}).encode()) == (
        key,
        "missing key",
    )


def test_a_key_that_occurs_twice_is_refused() -> None:
    assert refusal_of_line(b'{"user_id": 8, ' + line()[1:]) == ("user_id", "duplicate key")
    assert refusal_of_line(b'{"\\ud800": 8, "\\ud800": 9, ' + line()[1:]) == ("", "duplicate key")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "blank line"),
        (b" \r", "blank line"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"null", "not an object"),
        (b"[]", "an array, where one object per line is expected"),
        (b"[" * 20_000 + b"]" * 20_000, "not JSON"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "not JSON"),
        (b"[" * 900 + b"]" * 900, "an array, where one object per line is expected"),
        (b"9" * 5_000, "not JSON"),
        (b" " * (1 << 20) + b"{}", "line too long"),
        (b'{"value": 1e999}', "missing key"),
    ],
)
def test_what_is_no_event_at_all_is_refused(data: bytes, reason: str) -> None:
    assert refusal_of_line(data)[1] == reason


def test_infinity_by_overflow_is_refused() -> None:
    assert refusal_of_line(line().replace(b"3.5", b"1e999")) == ("value", "not a finite number")


@given(st.one_of(st.binary(), st.recursive(st.none() | st.text() | st.floats(), st.lists).map(lambda v: line(value=v))))
def test_no_line_raises_anything_else(data: bytes) -> None:
    try:
        parse_event(data, 300)
    except BadRow as bad:
        bad.value.encode()


def test_the_request_that_an_event_followed_may_be_left_out_or_null() -> None:
    assert parse_event(line(), 300).request_id is None
    assert parse_event(line(request_id=None), 300).request_id is None
    assert parse_event(line(request_id="r1"), 300).request_id == "r1"
    assert refusal_of_line(line(request_id="")) == ("request_id", "not of 1 to 128 characters")


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


def refusal_of_values(read: object, values: dict[str, object]) -> tuple[str, str]:
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
    assert refusal_of_values(request_of, values) == (key, "missing key")


@pytest.mark.parametrize("key", [*IMPRESSION])
def test_an_impression_without_a_key_is_refused(key: str) -> None:
    values = {name: value for name, value in IMPRESSION.items() if name != key}
    assert refusal_of_values(impression_of, values) == (key, "missing key")


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
    assert refusal_of_values(request_of, REQUEST | changes) == (column, reason)


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
    assert refusal_of_values(impression_of, IMPRESSION | changes) == (column, reason)


def test_an_object_comes_back() -> None:
    assert object_of(b' {"a": [1, {"b": null}]} \r') == {"a": [1, {"b": None}]}


@pytest.mark.parametrize("data", [b'{"a": NaN}', b'{"a": [Infinity]}', b'{"a": -Infinity}'])
def test_what_only_python_takes_for_json_is_refused(data: bytes) -> None:
    with pytest.raises(BadRow, match="not a finite number"):
        object_of(data)


def test_a_key_that_occurs_twice_is_refused_at_any_depth() -> None:
    with pytest.raises(BadRow, match="duplicate key"):
        object_of(b'{"a": {"b": 1, "b": 1}}')


def test_keys_must_be_those_that_are_known() -> None:
    check_keys({"a": 1}, ["a", "b"], may_be_missing=["b"])
    with pytest.raises(BadRow, match="missing key"):
        check_keys({"a": 1}, ["a", "b"])
    with pytest.raises(BadRow, match="unknown key"):
        check_keys({"a": 1, "c": 1}, ["a"])
