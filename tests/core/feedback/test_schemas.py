"""The tables made of what users did are as their schemas describe them."""

import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.feedback.labels import implicit_feedback, logged_clicks, logged_ratings, outcomes
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE
from recsys_core.feedback.schemas import (
    CLICKS,
    IMPLICIT,
    LOGGED,
    OUTCOMES,
)
from tests.core.feedback.rows import event, impression


def made() -> dict[str, pl.DataFrame]:
    """All four of a rating and of a click on what was shown."""
    clicked = event(2, kind="click", value=None, item_id=101, user_id=7, request_id="r1")
    days = {"2017-07-14": EVENTS_TABLE.frame([event(1), clicked])}
    shown = IMPRESSIONS_TABLE.frame([impression(1, 1), impression(1, 2)])
    ratings, clicks = logged_ratings(days), logged_clicks(days)
    judged = outcomes(shown, clicks, ratings)
    return {"ratings": ratings, "clicks": clicks, "outcomes": judged, "implicit": implicit_feedback(clicks, judged)}


def test_each_keeps_its_schema_with_rows_and_without() -> None:
    for table, schema in zip(made().values(), (LOGGED, CLICKS, OUTCOMES, IMPLICIT), strict=True):
        assert table.height
        schema.validate(table)
        schema.validate(table.clear())


def test_a_label_of_two_is_refused() -> None:
    with pytest.raises(SchemaError):
        OUTCOMES.validate(made()["outcomes"].with_columns(label=pl.lit(2, pl.Int8)))
