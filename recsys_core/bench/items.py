"""A table of items from outside -> the movies that the stages read, and what of it could be used."""

import ast
import json
import logging
import re

import polars as pl

from recsys_core.data.columns import Column, matched_ids, years
from recsys_core.data.movielens.movies import NO_GENRES, split_title
from recsys_core.data.schemas import MOVIES_COLUMNS

logger = logging.getLogger(__name__)

SEPARATORS = ("|", ";", ",")
"""Separators of the genres in one text; the first of these that any text contains is used."""

MANY_GENRES = 100
"""MovieLens has 20. Of more than this, and one for every second item, the column holds something else."""

UNKNOWN_GENRES = {*NO_GENRES, "unknown"}
"""Names that GroupLens gives to an item without a genre."""


def item_table(table: pl.DataFrame, file: str, items: pl.Series) -> pl.DataFrame:
    """MOVIES columns of every rated item, by its number; without title, genres or year where the table has none.

    Args:
        table: has item_id; may have title, genres and year.
        file: its name, for messages.
        items: the id of each item number.

    Raises:
        DataError: the ids are of another kind than those that were rated, or a column cannot be read.
    """
    own = matched_ids(_column(table, "item_id", file), items)
    known = pl.DataFrame({"item_id": items, "number": pl.int_range(len(items), dtype=pl.Int64, eager=True)})
    told = pl.DataFrame(
        {
            "item_id": own,
            "told_title": _titles(table, file),
            "genres": _genres(table, file),
            "told_year": _years(table, file),
        }
    ).drop_nulls("item_id")
    once = told.unique("item_id", keep="first", maintain_order=True)
    found = known.join(once.with_columns(is_told=pl.lit(value=True)), on="item_id", how="left").sort("number")
    made = _movies(found)
    _report(made, found, file, table, n_repeats=told.height - once.height)
    return made


def _movies(found: pl.DataFrame) -> pl.DataFrame:
    parted = [split_title(title or "") for title in found["told_title"]]
    told = found["told_year"].to_list()
    return pl.DataFrame(
        {
            "item_id": found["number"],
            "title": [part.title for part in parted],
            "genres": [list(names) if names is not None else [] for names in found["genres"]],
            "year": [part.year if year is None else year for part, year in zip(parted, told, strict=True)],
        },
        schema=MOVIES_COLUMNS,
    )


def _report(made: pl.DataFrame, found: pl.DataFrame, file: str, table: pl.DataFrame, *, n_repeats: int) -> None:
    """One line on what could be used, and a warning of what could not."""
    n_found = made.height - found["is_told"].null_count()
    named = made.select(pl.col("genres").list.set_difference(list(UNKNOWN_GENRES)))["genres"]
    n_genres, n_years = int((named.list.len() > 0).sum()), made.height - made["year"].null_count()
    logger.info(
        "%s: %d of %d items found, %d with a known genre, %d with a year", file, n_found, made.height, n_genres, n_years
    )
    if n_repeats:
        logger.info("%s: %d rows repeat an item_id; the first of each counts", file, n_repeats)
    if not n_found and table.height:
        logger.warning(
            "%s: none of its items was rated, so it is not used; its ids are like %s, those of the ratings like %s",
            file,
            table["item_id"][0],
            found["item_id"][0],
        )
    elif not n_genres:
        logger.warning("%s: no item has a genre; its columns are %s", file, ", ".join(table.columns))
    n_different = named.explode().drop_nulls().n_unique()
    if n_different > max(MANY_GENRES, made.height // 2):
        logger.warning("%s: %d different genres: part several of one item by |", file, n_different)


def _column(table: pl.DataFrame, name: str, file: str) -> Column:
    values = table[name] if name in table.columns else pl.Series(name, [None] * table.height, dtype=pl.Null)
    return Column(file=file, name=name, values=values)


def _titles(table: pl.DataFrame, file: str) -> pl.Series:
    column = _column(table, "title", file)
    if not (column.is_text or column.values.dtype.is_numeric() or column.values.dtype == pl.Null):
        column.refuse_type("text")
    return column.values.cast(pl.String)


def _years(table: pl.DataFrame, file: str) -> pl.Series:
    return years(_column(table, "year", file))


def _genres(table: pl.DataFrame, file: str) -> pl.Series:
    """(n_rows,) lists of names; null where none are told."""
    column = _column(table, "genres", file)
    values = column.values
    if isinstance(values.dtype, pl.List | pl.Array):
        lists = values.to_list()
    elif column.is_text:
        lists = _parted(column)
    elif values.dtype == pl.Null:
        lists = [None] * len(values)
    else:
        column.refuse_type("a list of names, or names joined by |")
    return pl.Series("genres", [_names(one) for one in lists], dtype=pl.List(pl.String))


def _names(genres: list[object] | None) -> list[str]:
    """The names of one item's genres; of objects, as other catalogues export them, their `name`."""
    named = [one.get("name") if isinstance(one, dict) else one for one in genres or []]
    return [name for name in (str(one).strip() for one in named if one is not None) if name]


def _parted(column: Column) -> list[list[object] | None]:
    texts = column.text().to_list()
    if all(text.startswith("[") and text.endswith("]") for text in texts if text):
        return [_literal(column, row, text) if text else None for row, text in enumerate(texts)]
    separator = next((mark for mark in SEPARATORS if any(mark in text for text in texts if text)), SEPARATORS[0])
    if separator != SEPARATORS[0]:
        logger.info("%s: genres are taken for parted by %r", column.file, separator)
    return [text.split(separator) if text else None for text in texts]


def _literal(column: Column, row: int, text: str) -> list[object]:
    """A list that was written as text, in the way of JSON, Python or NumPy."""
    try:
        return list(json.loads(text))
    except (ValueError, RecursionError):
        pass
    try:
        # NumPy puts no commas, without which Python would make one name of two.
        return list(ast.literal_eval(re.sub(r"(['\"])\s+(['\"])", r"\1, \2", text)))
    except (ValueError, SyntaxError, MemoryError, RecursionError) as fault:
        raise column.refused(row, "is no list of names") from fault
