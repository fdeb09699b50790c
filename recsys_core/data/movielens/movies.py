"""Movie lines -> the movies table: titles without their year, genres as lists.

A catalogue has tens of thousands of lines at most, so that each is read on its own.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from recsys_core.data.fields import BadRow, Quarantine, id_number
from recsys_core.data.movielens.layouts import GENRE_FLAGS
from recsys_core.data.movielens.lines import Block
from recsys_core.data.movielens.records import Plan, accepted, records
from recsys_core.data.schemas import MOVIES_COLUMNS, PREVIEW_YEARS, YEARS
from recsys_core.errors import DataError

MAX_TITLE_CHARS = 500
"""Longer titles are rejected; the longest of MovieLens 32M has about 250 characters."""

NO_GENRES = ("", "(no genres listed)")

TITLE_WITH_YEAR = re.compile(
    # "Heat (1995)"; of a series' "(2006-2007)", also with an en dash, the first year; 100K has "(1995) (V)", and (V),
    # for video, stays in the title.
    "(?P<title>.*?)" r"\s*\((?P<year>[0-9]{4})(?:[-\u2013][0-9]{0,4})?\)" r"\s*(?P<medium>\([A-Z]{1,3}\))?",
    re.DOTALL,
)

LINED_COLUMNS = {"line": pl.Int64(), **MOVIES_COLUMNS}


@dataclass(frozen=True, kw_only=True, slots=True)
class TitleAndYear:
    """A title without its year, and the year of release if the title names it."""

    title: str
    year: int | None


def movie_rows(blocks: Iterator[Block], plan: Plan, quarantine: Quarantine) -> tuple[pl.DataFrame, int]:
    """The valid movies in the file's order, with their lines, and the number of records."""
    rows: list[tuple[object, ...]] = []
    n_records = 0
    for found in records(blocks, plan):
        rows += accepted(found, lambda fields: _movie(fields, plan), quarantine)
        n_records += len(found)
        quarantine.check_early(n_records)
    return pl.DataFrame(rows, schema=LINED_COLUMNS, orient="row"), n_records


def without_repeats(rows: pl.DataFrame, file: str) -> pl.DataFrame:
    """One row per movie, sorted by id; a line that repeats another in every column is dropped.

    Raises:
        DataError: two lines give one id to different movies, of which only the user can tell the right one.
    """
    table = rows.unique(list(MOVIES_COLUMNS), keep="first", maintain_order=True).sort("item_id", "line")
    clash = table.filter(pl.col("item_id").is_duplicated()).head(2)
    if clash.height:
        (first, second), item_id = clash.iter_rows(named=True), clash["item_id"][0]
        raise DataError(
            f"{file} conflicts with itself: movieId {item_id} is {first['title'][:60]!r} {first['genres']} on line "
            f"{first['line']}, but {second['title'][:60]!r} {second['genres']} on line {second['line']}; keep one"
        )
    return table.drop("line")


def contradicted_years(rows: pl.DataFrame, ratings: pl.DataFrame) -> pl.DataFrame:
    """Movies that were rated before their year of release, which must therefore be wrong.

    Args:
        rows: movies with their lines, as `movie_rows` gives them.
        ratings: RATINGS of the same data set.

    Returns:
        line, item_id, title, year, and the calendar year (UTC) of the first rating as `rated_in`; sorted by line.
    """
    first = pl.from_epoch(pl.col("timestamp").min(), time_unit="s").dt.year()
    rated = rows.join(ratings.group_by("item_id").agg(rated_in=first), on="item_id")
    early = rated.filter(pl.col("year") > pl.col("rated_in") + PREVIEW_YEARS)
    return early.select("line", "item_id", "title", "year", "rated_in").sort("line")


def without_years(table: pl.DataFrame, item_ids: pl.Series) -> pl.DataFrame:
    """MOVIES with the year of release of some movies unknown."""
    return table.with_columns(pl.when(~pl.col("item_id").is_in(item_ids.implode())).then("year"))


def split_title(text: str) -> TitleAndYear:
    """Part a title from the year at its end; the title is brought to Unicode's composed form (NFC).

    >>> split_title("Heat (1995)")
    TitleAndYear(title='Heat', year=1995)
    >>> split_title("Babylon 5")
    TitleAndYear(title='Babylon 5', year=None)
    """
    text = unicodedata.normalize("NFC", text).strip()
    match = TITLE_WITH_YEAR.fullmatch(text)
    if match is None or not YEARS[0] <= int(match["year"]) <= YEARS[1]:
        return TitleAndYear(title=text, year=None)
    title = " ".join(part for part in (match["title"], match["medium"]) if part)
    return TitleAndYear(title=title, year=int(match["year"]))


def _movie(fields: list[str], plan: Plan) -> tuple[int, str, list[str], int | None]:
    item_id = id_number(plan.value(fields, "movieId"), "movieId")
    text = plan.value(fields, "title")
    if len(text) > MAX_TITLE_CHARS:
        raise BadRow("title", f"longer than {MAX_TITLE_CHARS} characters", text)
    parted = split_title(text)
    genres = _listed_genres(plan.value(fields, "genres")) if "genres" in plan.columns else _flagged_genres(fields)
    return item_id, parted.title, genres, parted.year


def _listed_genres(text: str) -> list[str]:
    if text.strip() in NO_GENRES:
        return []
    genres = text.split("|")
    if not all(genre.strip() for genre in genres):
        raise BadRow("genres", "a genre without a name", text)
    return genres


def _flagged_genres(fields: list[str]) -> list[str]:
    """The genres whose column holds 1; 100K's genre "unknown" says that none is listed."""
    flags = fields[-len(GENRE_FLAGS) :]
    for name, flag in zip(GENRE_FLAGS, flags, strict=True):
        if flag not in {"0", "1"}:
            raise BadRow(name, "not 0 or 1", flag)
    return [name for name, flag in zip(GENRE_FLAGS, flags, strict=True) if flag == "1" and name != "unknown"]
