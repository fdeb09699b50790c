"""What came of a shown slot: by hand, at the edges of the time for an answer, and in whatever order it arrived."""

import polars as pl
import pytest

from recsys_core.data.schemas import LIKED
from recsys_core.feedback.config import OutcomesConfig
from recsys_core.feedback.head import CLICKS_COLUMNS, LOGGED_COLUMNS
from recsys_core.feedback.outcomes import OUTCOMES_COLUMNS, outcomes
from recsys_core.feedback.records import IMPRESSIONS_TABLE
from tests.core.feedback.rows import START, impression

SHOWN_AT = START + 1
"""The second of request r1."""

Click = tuple[int, int, int, str | None, str]
Rating = tuple[int, int, float, int, str]


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
