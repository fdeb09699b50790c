"""What it takes to be a feature."""

import json
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from recsys_core.arrays import Float32s
from recsys_core.features import user_item
from recsys_core.features.feature import NO_DEFAULT, Feature, declared_in, feature

FOR_PEOPLE = {"owner"}
"""What may change without another feature: whom to ask."""


@feature(entity="item", unit="doubles", sources=("here.number",), high=8.0, default=1.0, max_age_days=3, owner="us")
def item_doubled(numbers: Float32s) -> Float32s:
    """Twice the number.

    Whatever it is.
    """
    return 2 * numbers


@feature(entity="context", unit="ones", sources=("here.number",))
def context_one(numbers: Float32s) -> Float32s:  # that it says nothing is the point
    return np.ones_like(numbers)


def test_name_group_and_meaning_are_those_of_the_function() -> None:
    assert (item_doubled.name, item_doubled.group) == ("item_doubled", "test_feature")
    assert item_doubled.description == "Twice the number. Whatever it is."
    assert context_one.description == ""


def test_it_is_called_like_the_function() -> None:
    assert item_doubled(np.array([3], dtype=np.float32)).tolist() == [6]


def test_what_is_not_said_is_the_strictest() -> None:
    """No value below zero, none missing, none that ages; a missing value stays missing."""
    assert (context_one.low, context_one.high, context_one.may_be_missing) == (0.0, None, False)
    assert (context_one.max_age_days, context_one.dtype) == (None, "Float32")
    assert np.isnan(context_one.default)
    assert np.isnan(NO_DEFAULT)


def test_everything_that_holds_of_the_values_is_declared() -> None:
    """A field that is added to `Feature` counts, or is named above."""
    counted = {field.name for field in fields(Feature)} - {"function"} - FOR_PEOPLE
    assert set(item_doubled.declared()) == counted
    assert item_doubled.declared() == {
        "entity": "item",
        "dtype": "Float32",
        "unit": "doubles",
        "low": 0.0,
        "high": 8.0,
        "sources": ["here.number"],
        "default": 1.0,
        "may_be_missing": False,
        "max_age_days": 3,
    }


def test_a_declaration_survives_strict_json() -> None:
    for one in (item_doubled, context_one):
        assert json.loads(json.dumps(one.declared(), allow_nan=False)) == one.declared()
    assert context_one.declared()["default"] is None


def test_a_declaration_cannot_be_changed_behind_its_back() -> None:
    with pytest.raises(FrozenInstanceError):
        item_doubled.unit = "halves"  # type: ignore[misc]


def test_a_feature_that_a_group_merely_reads_is_not_its_own() -> None:
    assert "user_mean_liked_year" in vars(user_item)
    assert "user_mean_liked_year" not in [one.name for one in declared_in(user_item)]


def test_a_module_declares_its_features_in_its_order() -> None:
    lines = [one.function.__code__.co_firstlineno for one in declared_in(user_item)]
    assert len(lines) == 21
    assert lines == sorted(lines)
