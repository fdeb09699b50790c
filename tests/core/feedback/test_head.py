"""The head of the log: every day's ratings in one table, the clicks in another."""

from collections.abc import Callable

import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.feedback.head import CLICKS_COLUMNS, LOGGED_COLUMNS, logged_clicks, logged_ratings
from recsys_core.feedback.schemas import INTERACTIONS_COLUMNS

Table = Callable[[dict[str, pl.DataFrame]], pl.DataFrame]

OF_EITHER_KIND = pytest.mark.parametrize(
    ("kind", "value", "table"), [("rating", 3.0, logged_ratings), ("click", None, logged_clicks)]
)


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
