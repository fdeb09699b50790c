"""The head of the log: every day's ratings in one table."""

import polars as pl

from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.feedback.head import log_head
from recsys_core.feedback.schemas import INTERACTIONS_COLUMNS


def _day(*rows: tuple[str, int, int, str, float | None, int, int]) -> pl.DataFrame:
    """Rows without their request."""
    with_request = [(event_id, None, *rest) for event_id, *rest in rows]
    return pl.DataFrame(with_request, schema=INTERACTIONS_COLUMNS, orient="row")


def test_no_days_give_an_empty_table_of_ratings() -> None:
    assert log_head({}).schema == pl.Schema(RATINGS_COLUMNS)
    assert log_head({}).is_empty()


def test_only_ratings_pass_clicks_and_skips_do_not() -> None:
    day = _day(
        ("a", 1, 10, "click", None, 1_500_000_000, 1_500_000_001),
        ("b", 1, 11, "rating", 4.5, 1_500_000_002, 1_500_000_003),
        ("c", 2, 12, "skip", None, 1_500_000_004, 1_500_000_005),
    )
    assert log_head({"2017-07-14": day}).rows() == [(1, 11, 4.5, 1_500_000_002)]


def test_the_order_of_the_days_does_not_matter() -> None:
    late = _day(("a", 1, 10, "rating", 3.0, 1_500_000_000, 1_500_100_001))
    early = _day(("b", 2, 11, "rating", 4.5, 1_500_000_000, 1_500_000_003))
    one, two = log_head({"x": late, "y": early}), log_head({"y": early, "x": late})
    assert one.equals(two)
    assert one["user_id"].to_list() == [1, 2]
