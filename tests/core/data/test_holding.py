"""What is held back by day, and what is left."""

from pathlib import Path

import polars as pl
import pytest

from recsys_core.data.config import RatingsReadingConfig
from recsys_core.data.holding import held_back, ratings_held_back
from recsys_core.errors import DataError
from tests.core.tables_by_hand import ratings_of

DAY = 86_400
RAW = Path("data_lake/raw")
EMBEDDED = "ml-latest-small-2016"


def test_the_cut_is_at_the_first_second_of_the_day() -> None:
    midnight = 1_474_070_400  # 2016-09-17
    table = ratings_of([(1, 1, 4.0, 0), (1, 2, 4.0, 1), (1, 3, 4.0, 2)]).with_columns(
        timestamp=pl.Series([midnight - 1, midnight, midnight + 1])
    )
    before, later = held_back(table, "2016-09-17")
    assert before["item_id"].to_list() == [1]
    assert later["item_id"].to_list() == [2, 3]


def test_without_a_day_nothing_is_held_back() -> None:
    table = ratings_of([(1, 1, 4.0, 0)])
    before, later = held_back(table, None)
    assert before is table
    assert later.is_empty()
    assert later.schema == table.schema


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2016-02-30", "hold_back_from: '2016-02-30' is not a day: write it as YYYY-MM-DD"),
        ("1970-01-01", "hold_back_from: no rating was given before 1970-01-01: choose a later day"),
    ],
)
def test_a_day_that_cannot_be_is_refused(day: str, said: str) -> None:
    with pytest.raises(DataError) as refused:
        held_back(ratings_of([(1, 1, 4.0, 0)]), day)
    assert str(refused.value) == said


def test_the_last_month_of_the_shipped_data_is_there() -> None:
    held = ratings_held_back(EMBEDDED, RAW, RatingsReadingConfig(hold_back_from="2016-09-17"))
    assert held.height == 327
    assert held["user_id"].n_unique() == 10


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (None, "nothing is held back that could be played: set base_ratings.hold_back_from"),
        ("2030-01-01", "no rating was given on 2030-01-01 or later: choose an earlier day"),
    ],
)
def test_nothing_to_play_is_said_with_the_remedy(day: str | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        ratings_held_back(EMBEDDED, RAW, RatingsReadingConfig(hold_back_from=day))
