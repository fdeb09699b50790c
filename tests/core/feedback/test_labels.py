"""What models learn from the log: ratings and clicks of all days, labels of shown slots, weights of clicks."""

from collections.abc import Callable

import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.feedback.config import ImplicitConfig, OutcomesConfig
from recsys_core.feedback.labels import (
    implicit_feedback,
    like_share,
    likes_by_position,
    logged_clicks,
    logged_ratings,
    outcomes,
    still_implicit,
)
from recsys_core.feedback.records import IMPRESSIONS_TABLE
from recsys_core.feedback.schemas import (
    CLICKS_COLUMNS,
    IMPLICIT_COLUMNS,
    INTERACTIONS_COLUMNS,
    LOGGED_COLUMNS,
    OUTCOMES_COLUMNS,
)
from tests.core.feedback.rows import START, impression

Table = Callable[[dict[str, pl.DataFrame]], pl.DataFrame]

OF_EITHER_KIND = pytest.mark.parametrize(
    ("kind", "value", "table"), [("rating", 3.0, logged_ratings), ("click", None, logged_clicks)]
)


SHOWN_AT = START + 1
"""The second of request r1."""

Click = tuple[int, int, int, str | None, str]
Rating = tuple[int, int, float, int, str]

CLICKS = pl.DataFrame(
    [
        (1, 10, 100, "r1", "a", 100), (1, 11, 101, "r1", "b", 101), (2, 10, 102, None, "c", 102),
        (1, 10, 103, "r2", "d", 103),
    ],
    schema=CLICKS_COLUMNS,
    orient="row",
)  # fmt: skip
PLACES = pl.DataFrame({"request_id": ["r1", "r1", "r3"], "item_id": [10, 11, 10], "position": [1, 4, 9]})


def _day(*rows: tuple[str, int, int, str, float | None, int, int]) -> pl.DataFrame:
    """Rows without their request."""
    with_request = [(event_id, None, *rest) for event_id, *rest in rows]
    return pl.DataFrame(with_request, schema=INTERACTIONS_COLUMNS, orient="row")


def test_no_days_give_empty_tables() -> None:
    assert logged_ratings({}).schema == pl.Schema(LOGGED_COLUMNS)
    assert logged_clicks({}).schema == pl.Schema(CLICKS_COLUMNS)
    assert logged_ratings({}).is_empty()
    assert logged_clicks({}).is_empty()


def test_ratings_and_clicks_go_their_own_ways_and_skips_nowhere() -> None:
    day = _day(
        ("a", 1, 10, "click", None, 1_500_000_000, 1_500_000_001),
        ("b", 1, 11, "rating", 4.5, 1_500_000_002, 1_500_000_003),
        ("c", 2, 12, "skip", None, 1_500_000_004, 1_500_000_005),
    )
    assert logged_ratings({"2017-07-14": day}).rows() == [(1, 11, 4.5, 1_500_000_002, "b", 1_500_000_003)]
    assert logged_clicks({"2017-07-14": day}).rows() == [(1, 10, 1_500_000_000, None, "a", 1_500_000_001)]


@OF_EITHER_KIND
def test_the_order_of_the_days_does_not_matter(kind: str, value: float | None, table: Table) -> None:
    late = _day(("a", 1, 10, kind, value, 1_500_000_000, 1_500_100_001))
    early = _day(("b", 2, 11, kind, value, 1_500_000_000, 1_500_000_003))
    one, two = table({"x": late, "y": early}), table({"y": early, "x": late})
    assert one.equals(two)
    assert one["user_id"].to_list() == [1, 2]


@OF_EITHER_KIND
def test_an_event_that_two_days_hold_counts_as_it_arrived_first(kind: str, value: float | None, table: Table) -> None:
    """An import of old lines changed both days, and only one of them has been ingested since."""
    late = _day(("a", 1, 10, kind, value, 1_500_000_000, 1_500_100_001))
    early = _day(("a", 2, 11, kind, value, 1_500_000_000, 1_500_000_003))
    assert table({"x": late, "y": early})["user_id"].to_list() == [2]
    first_a_skip = _day(("a", 2, 11, "skip", None, 1_500_000_000, 1_500_000_003))
    assert table({"x": late, "y": first_a_skip}).is_empty()


@OF_EITHER_KIND
def test_a_row_that_breaks_its_schema_is_refused(kind: str, value: float | None, table: Table) -> None:
    with pytest.raises(SchemaError, match="user_id"):
        table({"x": _day(("a", -1, 10, kind, value, 1_500_000_000, 1_500_000_001))})


def judged(
    *, clicks: list[Click] | None = None, ratings: list[Rating] | None = None, user: int | None = 7
) -> pl.DataFrame:
    """Items 101 and 102 shown to a user by r1."""
    shown = IMPRESSIONS_TABLE.frame([impression(1, 1, user_id=user), impression(1, 2, user_id=user)])
    return outcomes(
        shown,
        pl.DataFrame([(*one, one[2] + 1) for one in clicks or []], schema=CLICKS_COLUMNS, orient="row"),
        pl.DataFrame([(*one, one[3] + 1) for one in ratings or []], schema=LOGGED_COLUMNS, orient="row"),
        OutcomesConfig(answer_s=600),
    )


def labels(table: pl.DataFrame) -> list[tuple[int, str | None]]:
    return table.select("label", "event_id").rows()


def test_what_was_clicked_is_liked_and_what_was_left_alone_is_not() -> None:
    table = judged(clicks=[(7, 102, SHOWN_AT + 5, "r1", "c")])
    assert labels(table) == [(0, None), (1, "c")]
    assert table["shown_at"].to_list() == [SHOWN_AT] * 2
    assert table["settled_at"].to_list() == [SHOWN_AT + 600] * 2
    assert table["propensity"].to_list() == [0.9] * 2
    assert table.schema == pl.Schema(OUTCOMES_COLUMNS)


@pytest.mark.parametrize(("stars", "label"), [(LIKED, 1), (LIKED - 0.5, 0)])
def test_a_rating_overrules_a_click(stars: float, label: int) -> None:
    click, rating = (7, 101, SHOWN_AT + 5, "r1", "c"), (7, 101, stars, SHOWN_AT + 300, "r")
    assert labels(judged(clicks=[click], ratings=[rating])) == [(label, "r"), (0, None)]


def test_a_rating_without_a_click_counts_too() -> None:
    assert labels(judged(ratings=[(7, 101, 5.0, SHOWN_AT, "r")])) == [(1, "r"), (0, None)]


@pytest.mark.parametrize(("after_s", "counts"), [(-1, False), (0, True), (599, True), (600, False)])
def test_an_answer_counts_from_the_second_of_the_request_until_its_time_is_over(after_s: int, *, counts: bool) -> None:
    expected = (1, "x") if counts else (0, None)
    assert labels(judged(clicks=[(7, 101, SHOWN_AT + after_s, "r1", "x")]))[0] == expected
    assert labels(judged(ratings=[(7, 101, 5.0, SHOWN_AT + after_s, "x")]))[0] == expected


@pytest.mark.parametrize(
    "click",
    [
        pytest.param((7, 101, SHOWN_AT + 5, "r2", "c"), id="of another request"),
        pytest.param((7, 101, SHOWN_AT + 5, None, "c"), id="of no request"),
        pytest.param((7, 103, SHOWN_AT + 5, "r1", "c"), id="on another item"),
    ],
)
def test_clicks_elsewhere_say_nothing(click: Click) -> None:
    assert labels(judged(clicks=[click])) == [(0, None), (0, None)]


def test_the_rating_of_somebody_else_says_nothing() -> None:
    rating = (8, 101, 5.0, SHOWN_AT + 5, "r")
    assert labels(judged(ratings=[rating])) == [(0, None), (0, None)]
    assert labels(judged(ratings=[rating], user=None)) == [(0, None), (0, None)]


def test_a_click_of_somebody_unknown_belongs_to_its_request() -> None:
    assert labels(judged(clicks=[(9, 101, SHOWN_AT + 5, "r1", "c")], user=None))[0] == (1, "c")


def test_of_several_answers_the_first_counts_in_whatever_order_they_arrived() -> None:
    clicks: list[Click] = [(7, 101, SHOWN_AT + 9, "r1", "late"), (7, 101, SHOWN_AT + 5, "r1", "early")]
    ratings: list[Rating] = [(7, 101, 1.0, SHOWN_AT + 50, "second"), (7, 101, 5.0, SHOWN_AT + 40, "first")]
    for at in (1, -1):
        assert labels(judged(clicks=clicks[::at]))[0] == (1, "early")
        assert labels(judged(clicks=clicks[::at], ratings=ratings[::at]))[0] == (1, "first")


def test_nothing_shown_gives_an_empty_table() -> None:
    none = outcomes(
        IMPRESSIONS_TABLE.frame([]), pl.DataFrame(schema=CLICKS_COLUMNS), pl.DataFrame(schema=LOGGED_COLUMNS)
    )
    assert none.schema == pl.Schema(OUTCOMES_COLUMNS)
    assert none.is_empty()


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


def test_likes_are_counted_by_place_and_far_places_left_out() -> None:
    judged = pl.DataFrame({"position": [2, 1, 1, 21], "label": [0, 1, 0, 1]}, schema_overrides={"label": pl.Int8})
    assert likes_by_position(judged).rows() == [(1, 2, 0.5), (2, 1, 0.0)]
    assert like_share(judged) == 0.5


def test_where_nothing_was_judged_nothing_was_liked() -> None:
    nothing = pl.DataFrame(schema={"position": pl.Int64, "label": pl.Int8})
    assert likes_by_position(nothing).is_empty()
    assert like_share(nothing) == 0.0
