"""A line of JSON is an object with every key once, or is refused; what a key holds is in test_events."""

import pytest

from recsys_core.data.quarantine import BadRow
from recsys_core.feedback.lines import check_keys, object_of


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
