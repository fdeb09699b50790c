"""The checks of single values; which column has which is in test_events, test_impressions and test_records."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.fields import BadRow
from recsys_core.feedback import values
from recsys_core.feedback.records import TABLES

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(), st.lists, max_leaves=5
)


@given(ANYTHING)
def test_any_value_is_given_back_or_refused_in_words_that_a_table_can_hold(value: object) -> None:
    for table in TABLES.values():
        for name, column in table.declared.items():
            try:
                kept = column.check(name, value)
            except BadRow as bad:
                bad.value.encode()
            else:
                assert kept == value


def test_an_optional_value_may_be_absent_and_nothing_else() -> None:
    user_id = TABLES["requests"].declared["user_id"]
    assert user_id.check("user_id", None) is None
    with pytest.raises(BadRow, match="negative"):
        user_id.check("user_id", -1)


def test_a_number_of_numpy_is_told_apart_where_it_would_be_stored_otherwise() -> None:
    assert values.number("score", np.float64(0.5)) == 0.5
    for number in (np.float32(0.5), np.int64(1)):
        with pytest.raises(BadRow, match="wrong type"):
            values.number("score", number)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan")])
def test_a_number_must_fit_a_float(value: float) -> None:
    with pytest.raises(BadRow, match="not a finite number"):
        values.number("score", value)
