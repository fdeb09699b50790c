"""A table of items in many shapes, and a line on what of it could be used."""

import logging
from datetime import date

import polars as pl
import pytest

from recsys_core.bench.items import item_table
from recsys_core.errors import DataError

RATED = pl.Series([30, 41, 50])
MOVIES = pl.DataFrame(
    {
        "item_id": [41, 30, 7],
        "title": ["Babylon 5", "Heat (1995)", "Alien (1979)"],
        "genres": [["Drama"], ["Action", "Crime"], ["Horror"]],
    }
)


def made(table: pl.DataFrame, rated: pl.Series = RATED) -> list[tuple[object, ...]]:
    return item_table(table, "movies.parquet", rated).rows()


def genres(values: object) -> list[object]:
    table = MOVIES.with_columns(values if isinstance(values, pl.Series) else pl.Series("genres", values))
    return [row[2] for row in made(table)]


def test_items_come_by_number_and_a_missing_one_is_blank(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        rows = made(MOVIES)
    assert rows == [(0, "Heat", ["Action", "Crime"], 1995), (1, "Babylon 5", ["Drama"], None), (2, "", [], None)]
    assert caplog.messages == ["movies.parquet: 2 of 3 items found, 2 with a known genre, 1 with a year"]


NAMED = [["Drama"], ["Action", "Crime"], None]


@pytest.mark.parametrize(
    "shape",
    [
        pl.Series("genres", NAMED),
        pl.Series("genres", NAMED, dtype=pl.List(pl.Categorical)),
        pl.Series("genres", [[{"id": 1, "name": name} for name in one or []] for one in NAMED]),
        pl.Series("genres", ["Drama", "Action|Crime", None]),
        pl.Series("genres", ["Drama", "Action|Crime", None], dtype=pl.Categorical),
        pl.Series("genres", ["Drama", "Action, Crime", ""]),
        pl.Series("genres", ["Drama", "Action;Crime", None]),
        pl.Series("genres", ["['Drama']", "['Action', 'Crime']", "[]"]),
        pl.Series("genres", ["['Drama']", "['Action' 'Crime']", None]),
        pl.Series("genres", ['["Drama"]', '["Action", "Crime"]', None]),
        pl.Series("genres", ["[{'id': 1, 'name': 'Drama'}]", "[{'name': 'Action'}, {'name': 'Crime'}]", None]),
    ],
    ids=lambda shape: str(shape.dtype) + str(shape[1])[:12],
)
def test_genres_come_in_many_shapes_and_mean_the_same(shape: pl.Series) -> None:
    assert genres(shape) == [["Action", "Crime"], ["Drama"], []]


def test_the_bar_parts_before_the_comma() -> None:
    assert genres(["Musicals, Operas|Drama", "Drama", None]) == [["Drama"], ["Musicals, Operas", "Drama"], []]


def test_what_holds_no_genres_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"movies\.parquet, column genres is of the type Int64: expected a list of names"
    ):
        genres([1, 2, 3])
    with pytest.raises(DataError, match=r"movies\.parquet, row 2, column genres: \[Drama is|is no list of names"):
        genres(["[]", "[Drama]", "[]"])


def test_an_item_table_of_other_ids_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    made(MOVIES.with_columns(pl.col("item_id") + 1_000))
    assert caplog.messages == [
        "movies.parquet: none of its items was rated, so it is not used; its ids are like 1041, those of the ratings "
        "like 30"
    ]


def test_zeros_in_front_are_no_other_id() -> None:
    padded = MOVIES.with_columns(pl.col("item_id").cast(pl.String).str.zfill(7))
    assert made(padded) == made(MOVIES)
    assert made(padded, RATED.cast(pl.String)) == made(MOVIES)


def test_a_table_without_genres_is_warned_of_with_its_columns(caplog: pytest.LogCaptureFixture) -> None:
    made(MOVIES.rename({"genres": "genre"}))
    assert caplog.messages == ["movies.parquet: no item has a genre; its columns are item_id, title, genre"]


def test_genres_that_are_not_parted_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    ids = pl.Series(range(150))
    table = pl.DataFrame({"item_id": ids, "genres": [f"Action / no. {number}" for number in range(150)]})
    item_table(table, "movies.parquet", ids)
    assert caplog.messages == ["movies.parquet: 150 different genres: part several of one item by |"]


def test_that_nothing_is_known_of_a_genre_is_no_genre(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        made(MOVIES.with_columns(genres=pl.Series([["unknown"], ["(no genres listed)"], []])))
    assert "2 of 3 items found, 0 with a known genre" in caplog.text


def test_a_repeated_item_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert made(pl.concat([MOVIES, MOVIES.with_columns(title=pl.lit("Again"))])) == made(MOVIES)
    assert "movies.parquet: 3 rows repeat an item_id; the first of each counts" in caplog.messages


@pytest.mark.parametrize("year", [1996, 1996.0, "1996", date(1996, 5, 5)])
def test_a_year_of_its_own_wins_over_the_titles(year: object) -> None:
    dated = MOVIES.with_columns(year=pl.Series([None, year, None]))
    assert [row[3] for row in made(dated)] == [1996, None, None]


def test_a_year_that_is_none_is_named() -> None:
    with pytest.raises(DataError, match=r"movies\.parquet, row 2, column year: 99999 is not a year from 1870 to 2100"):
        made(MOVIES.with_columns(year=pl.Series([None, 99_999, None])))


def test_a_title_that_is_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="column title is of the type List"):
        made(MOVIES.with_columns(title=pl.lit([["Heat"]])))
