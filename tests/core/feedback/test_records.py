"""A record is what its table's columns say, and its digest covers all of it but the arrival."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_core.data.fields import BadRow
from recsys_core.days import start_of
from recsys_core.errors import LogError
from recsys_core.feedback.records import (
    EVENTS_TABLE,
    FIRST_DAY,
    IMPRESSIONS_TABLE,
    REQUESTS_TABLE,
    TABLES,
    LogTable,
    Record,
    checked_row,
    digest_of,
    has_features,
    pack_features,
    row_of,
    unpack_features,
)
from tests.core.feedback.rows import event, impression, request

ONE_OF_EACH = [(REQUESTS_TABLE, request(history="[]")), (IMPRESSIONS_TABLE, impression()), (EVENTS_TABLE, event())]


STORED = {
    "requests": "request_id user_id history k requested_at served_at release",
    "impressions": "request_id user_id item_id position release policy propensity score retrieval_score retrieval_rank "
    "probability feature_set features feature_states requested_at served_at",
    "events": "event_id request_id user_id item_id kind value timestamp received_at",
}
"""The columns of every log that was ever written, in order: digests depend on it."""

NULLABLE = {
    "requests": {"user_id", "history"},
    "impressions": {"user_id", "retrieval_score", "retrieval_rank", "probability"},
    "events": {"request_id", "value"},
}


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_the_columns_of_a_table_are_those_of_stored_logs(table: LogTable) -> None:
    assert list(table.columns) == STORED[table.name].split()
    assert {name for name, column in table.declared.items() if column.nullable} == NULLABLE[table.name]
    assert all(column.description for column in table.declared.values())


@pytest.mark.parametrize(("table", "record"), ONE_OF_EACH, ids=list(TABLES))
def test_the_digest_changes_with_every_value_but_the_arrival(table: LogTable, record: Record) -> None:
    row = checked_row(table, record)
    for at, name in enumerate(table.columns):
        for other in ("x", 12345):
            changed = (*row[:at], other, *row[at + 1 :])
            assert (digest_of(table, changed) == digest_of(table, row)) == (name == table.arrival)


def test_texts_numbers_and_nothing_are_told_apart() -> None:
    row = row_of(EVENTS_TABLE, event(request_id="None"))
    assert digest_of(EVENTS_TABLE, row) != digest_of(EVENTS_TABLE, row_of(EVENTS_TABLE, event(request_id=None)))
    one = row_of(EVENTS_TABLE, event(event_id="a', 'b", request_id="c"))
    two = row_of(EVENTS_TABLE, event(event_id="a", request_id="b', 'c"))
    assert digest_of(EVENTS_TABLE, one) != digest_of(EVENTS_TABLE, two)


def test_a_whole_number_and_a_negative_zero_are_stored_as_they_come_back() -> None:
    assert repr(row_of(IMPRESSIONS_TABLE, impression(score=-0.0))) == repr(
        row_of(IMPRESSIONS_TABLE, impression(score=0))
    )


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"propensity": 0.0}, "propensity", "a chance of 0"),
        ({"propensity": 1.1}, "propensity", "outside 0 to 1"),
        ({"propensity": float("nan")}, "propensity", "not a finite number"),
        ({"score": None}, "score", "wrong type"),
        ({"score": float("inf")}, "score", "not a finite number"),
        ({"position": 0}, "position", "not from 1 on"),
        ({"retrieval_rank": 0}, "retrieval_rank", "not from 1 on"),
        ({"probability": -0.1}, "probability", "outside 0 to 1"),
        ({"policy": ""}, "policy", "not of 1 to 128 characters"),
        ({"features": b"123"}, "features", "not whole float32 numbers"),
        ({"features": np.zeros(3, np.float32)}, "features", "wrong type"),
        ({"feature_states": bytes([0, 1])}, "feature_states", "not as many as features"),
        ({"feature_states": bytes([0, 1, 3])}, "feature_states", "unknown state of a feature"),
        ({"served_at": 1_500_000_000}, "served_at", "not microseconds, or before MovieLens' first rating"),
        ({"served_at": 10**18}, "served_at", "nanoseconds, not microseconds"),
        ({"requested_at": 1_500_000_000_000}, "requested_at", "milliseconds, not seconds"),
        ({"user_id": np.int64(3)}, "user_id", "wrong type"),
    ],
)
def test_an_impression_that_is_none_is_refused(changes: dict[str, object], column: str, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        checked_row(IMPRESSIONS_TABLE, replace(impression(), **changes))  # type: ignore[arg-type]
    assert (caught.value.column, caught.value.reason) == (column, reason)


def test_the_maker_of_an_unfit_record_is_told_which_value_it_is() -> None:
    with pytest.raises(LogError, match=r"a row for events is not fit to be logged, value: wrong type \(None\)"):
        row_of(EVENTS_TABLE, event(value=None))


@pytest.mark.parametrize("record", [request(), impression(), event()], ids=lambda record: type(record).__name__)
def test_nothing_is_logged_on_a_day_that_is_never_read(record: Record) -> None:
    """As under a clock that is ten years late."""
    table = next(table for table in TABLES.values() if table.record is type(record))
    first = start_of(FIRST_DAY) * table.ticks
    row_of(table, replace(record, **{table.arrival: first}))
    with pytest.raises(LogError, match=f"{table.arrival}: before {FIRST_DAY}, when the log begins"):
        row_of(table, replace(record, **{table.arrival: first - 1}))


def test_an_answer_without_a_ranker_has_no_features() -> None:
    plain = impression(features=b"", feature_states=b"", retrieval_rank=None, retrieval_score=None)
    assert checked_row(IMPRESSIONS_TABLE, plain)


def test_features_come_back_bit_for_bit() -> None:
    given = np.array([[0.1, np.nan, -0.0], [np.inf, 1e-45, 3.4e38]], dtype=np.float32)
    packed = [pack_features(row) for row in given]
    assert packed[0][:4] == b"\xcd\xcc\xcc\x3d", "little-endian"
    assert unpack_features(packed).tobytes() == given.tobytes()
    assert unpack_features([]).shape == (0, 0)
    with pytest.raises(ValueError, match="same shape"):
        unpack_features([packed[0], b""])


def test_impressions_with_a_number_of_features_can_be_told_from_others() -> None:
    rows = IMPRESSIONS_TABLE.frame([impression(), impression(features=b"", feature_states=b"")])
    assert rows.select(has_features(3)).to_series().to_list() == [True, False]
    assert rows.select(has_features(0)).to_series().to_list() == [False, True]
