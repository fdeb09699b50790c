"""When events arrived, and where in the lists likes lie."""

import polars as pl

from recsys_core.feedback.schemas import INTERACTIONS_COLUMNS, KINDS
from recsys_core.feedback.summaries import N_HOURS, arrivals_by_day, arrivals_by_hour, like_share, likes_by_position
from tests.core.feedback.rows import START


def day(*events: tuple[str, int]) -> pl.DataFrame:
    """Events of (kind, second of arrival within the day)."""
    rows = [
        (f"e{at}", None, 1, 10, kind, None, START - 90_000, START + second) for at, (kind, second) in enumerate(events)
    ]
    return pl.DataFrame(rows, schema=INTERACTIONS_COLUMNS, orient="row")


def test_the_hour_is_that_of_arrival_not_of_the_event() -> None:
    table = arrivals_by_hour(day(("click", 0), ("click", 3_599), ("rating", 3_600), ("skip", 86_399)))
    found = [row for row in table.rows() if row[2]]
    assert found == [(0, "click", 2), (1, "rating", 1), (23, "skip", 1)]


def test_every_hour_and_kind_is_there_in_order() -> None:
    table = arrivals_by_hour(day())
    assert table.select("hour", "kind").rows() == [(hour, kind) for hour in range(N_HOURS) for kind in KINDS]
    assert table["n"].sum() == 0


def test_days_are_ascending_and_quiet_ones_are_zeros() -> None:
    days = {"2017-07-15": day(), "2017-07-14": day(("rating", 5), ("rating", 6), ("skip", 7))}
    assert arrivals_by_day(days).rows() == [
        ("2017-07-14", "rating", 2),
        ("2017-07-14", "click", 0),
        ("2017-07-14", "skip", 1),
        *(("2017-07-15", kind, 0) for kind in KINDS),
    ]


def test_no_days_are_no_rows() -> None:
    assert arrivals_by_day({}).is_empty()


def test_likes_are_counted_by_place_and_far_places_left_out() -> None:
    judged = pl.DataFrame({"position": [2, 1, 1, 21], "label": [0, 1, 0, 1]}, schema_overrides={"label": pl.Int8})
    assert likes_by_position(judged).rows() == [(1, 2, 0.5), (2, 1, 0.0)]
    assert like_share(judged) == 0.5


def test_where_nothing_was_judged_nothing_was_liked() -> None:
    nothing = pl.DataFrame(schema={"position": pl.Int64, "label": pl.Int8})
    assert likes_by_position(nothing).is_empty()
    assert like_share(nothing) == 0.0
