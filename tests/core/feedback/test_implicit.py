"""A click weighs what the settings say, and gives way to a rating."""

import polars as pl
import pytest

from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.feedback.config import ImplicitConfig
from recsys_core.feedback.head import CLICKS_COLUMNS
from recsys_core.feedback.implicit import IMPLICIT_COLUMNS, implicit_feedback, still_implicit

CLICKS = pl.DataFrame(
    [
        (1, 10, 100, "r1", "a", 100), (1, 11, 101, "r1", "b", 101), (2, 10, 102, None, "c", 102),
        (1, 10, 103, "r2", "d", 103),
    ],
    schema=CLICKS_COLUMNS,
    orient="row",
)  # fmt: skip
PLACES = pl.DataFrame({"request_id": ["r1", "r1", "r3"], "item_id": [10, 11, 10], "position": [1, 4, 9]})


def test_every_click_weighs_the_same_unless_asked_otherwise() -> None:
    table = implicit_feedback(CLICKS, PLACES, ImplicitConfig(click_weight=0.25))
    assert table.schema == pl.Schema(IMPLICIT_COLUMNS)
    assert table["event_id"].to_list() == ["a", "b", "c", "d"]
    assert table["position"].to_list() == [1, 4, None, None]
    assert table["weight"].to_list() == [0.25] * 4


def test_by_default_position_corrects_nothing() -> None:
    assert implicit_feedback(CLICKS, PLACES)["weight"].n_unique() == 1


def test_a_click_far_down_stands_for_those_who_did_not_look_so_far() -> None:
    table = implicit_feedback(CLICKS, PLACES, ImplicitConfig(click_weight=0.1, position_exponent=0.5))
    assert table["weight"].to_list() == pytest.approx([0.1, 0.2, 0.1, 0.1])
    capped = implicit_feedback(CLICKS, PLACES, ImplicitConfig(click_weight=0.1, position_exponent=2.0, most_clicks=3.0))
    assert capped["weight"].to_list() == pytest.approx([0.1, 0.3, 0.1, 0.1])


def test_a_click_on_an_item_that_stands_at_two_places_counts_once_for_the_first() -> None:
    twice = pl.concat([PLACES, pl.DataFrame({"request_id": ["r1"], "item_id": [11], "position": [2]})])
    table = implicit_feedback(CLICKS, twice)
    assert table["event_id"].to_list() == ["a", "b", "c", "d"]
    assert table["position"].to_list() == [1, 2, None, None]


def test_a_rating_takes_the_place_of_a_click_and_the_latest_click_that_of_the_others() -> None:
    table = implicit_feedback(CLICKS, PLACES)
    rated = pl.DataFrame([(1, 11, 2.0, 50)], schema=RATINGS_COLUMNS, orient="row")
    assert still_implicit(table, rated)["event_id"].to_list() == ["c", "d"]
    assert still_implicit(table, rated.clear())["event_id"].to_list() == ["b", "c", "d"]


def test_no_clicks_give_an_empty_table() -> None:
    none = implicit_feedback(CLICKS.clear(), PLACES.clear())
    assert none.schema == pl.Schema(IMPLICIT_COLUMNS)
    assert still_implicit(none, pl.DataFrame(schema=RATINGS_COLUMNS)).is_empty()
