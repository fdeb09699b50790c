"""External tables -> the tables that the stages read, and back to the external ids.

Unreadable input is refused. Input that is not used, or perhaps not used as intended, is logged in one line.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from recsys_core.bench.clock import on_one_clock
from recsys_core.bench.items import item_table
from recsys_core.data.columns import Column, Times, ids, on_one_form, stars, times
from recsys_core.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BenchData:
    """Training ratings, and the users to make lists for. Ids are dense internal numbers.

    Attributes:
        train: RATINGS columns, one row per user and item.
        context: the same for the users who get lists: all their known ratings.
        movies: MOVIES columns of every item of either; without title, genres or year where the source has none.
        user_ids: the external id of each user number.
        item_ids: the external id of each item number.
        is_ordered: whether timestamps give an order in time; False where they are positions in a random order.
    """

    train: pl.DataFrame
    context: pl.DataFrame
    movies: pl.DataFrame
    user_ids: pl.Series
    item_ids: pl.Series
    is_ordered: bool = True


def read_bench_data(train: Path, movies: Path, context: Path) -> BenchData:
    """Read the three Parquet files.

    Ratings have user_id, item_id, rating (0.5 to 5 stars) and timestamp: numbers since 1970 UTC in seconds or finer, or
    dates with times, also as text. Without a timestamp, or where it is the same everywhere, the order of the rows is
    the order of time, unless they are sorted by item or by stars. Of several ratings of one user and item the latest
    counts. Movies have item_id, title, genres (a list, or names joined by '|') and year; all but item_id may be absent,
    a year is read from the title as well, and an item may be missing altogether.

    Raises:
        DataError: a file cannot be read, or holds an invalid value; the message names row and column.
    """
    paths = {"train": train, "context": context}
    raw = {name: _read(path, ("user_id", "item_id", "rating")) for name, path in paths.items()}
    items = _read(movies, ("item_id",))
    if raw["train"].is_empty():
        raise DataError(f"{train} has no ratings: there is nothing to fit on")
    if raw["context"].is_empty():
        raise DataError(f"{context} has no ratings: there are no users to list items for")
    columns = {name: _Columns.of(table, str(paths[name])) for name, table in raw.items()}
    user_ids, users = _numbered(columns, "user_id")
    item_ids, rated = _numbered(columns, "item_id")
    types = {name: {table[name].dtype for table in raw.values()} for name in ("user_id", "item_id")}
    tables = {
        name: pl.DataFrame({"user_id": users[name], "item_id": rated[name], "rating": one.rating})
        for name, one in columns.items()
    }
    timed, is_ordered = on_one_clock(tables, {name: one.times for name, one in columns.items()}, item_ids)
    numbered = {name: _latest(table, str(paths[name])) for name, table in timed.items()}
    _warn_of_unknown_items(numbered)
    return BenchData(
        **numbered,
        movies=item_table(items, str(movies), item_ids),
        user_ids=_typed(user_ids, types["user_id"]),
        item_ids=_typed(item_ids, types["item_id"]),
        is_ordered=is_ordered,
    )


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """The columns of one table of ratings."""

    user_id: Column
    item_id: Column
    rating: pl.Series  # Float32
    times: Times | None

    @classmethod
    def of(cls, table: pl.DataFrame, file: str) -> "_Columns":
        notes: list[str] = []
        named = {name: Column(file=file, name=name, values=table[name]) for name in ("user_id", "item_id", "rating")}
        found = {name: Column(file=file, name=name, values=ids(named[name], notes)) for name in ("user_id", "item_id")}
        has_times = "timestamp" in table.columns
        told = times(Column(file=file, name="timestamp", values=table["timestamp"]), notes) if has_times else None
        for note in notes:
            logger.info(note)
        return cls(**found, rating=stars(named["rating"]), times=told)


def _numbered(columns: Mapping[str, _Columns], name: str) -> tuple[pl.Series, dict[str, pl.Series]]:
    """The sorted ids of both tables, and each table's ids as positions in that order."""
    notes: list[str] = []
    both = on_one_form([getattr(one, name) for one in columns.values()], notes)
    for note in notes:
        logger.info(note)
    every = pl.concat(both).unique().sort()
    numbers = pl.int_range(len(every), dtype=pl.Int64, eager=True)
    return every, {table: one.replace_strict(every, numbers) for table, one in zip(columns, both, strict=True)}


def _typed(ids: pl.Series, types: set[pl.DataType]) -> pl.Series:
    """Ids in their original type, where both tables have one numeric type."""
    first, *others = types
    return ids.cast(first) if not others and first.is_numeric() else ids


def _warn_of_unknown_items(tables: Mapping[str, pl.DataFrame]) -> None:
    train, context = tables["train"], tables["context"]
    known = context.filter(pl.col("item_id").is_in(train["item_id"].unique().implode()))
    if known.is_empty():
        logger.warning("none of the items of the context is in the training ratings: are their ids of one source?")


def _read(path: Path, needed: tuple[str, ...]) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path)
    except (OSError, PolarsError) as fault:
        raise DataError(f"{path} cannot be read as Parquet: {' '.join(str(fault).split())[:200]}") from fault
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise DataError(f"{path} has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    return table


def _latest(table: pl.DataFrame, file: str) -> pl.DataFrame:
    """The latest rating of each user and item (of equal seconds, the last row), sorted by time."""
    ordered = table.sort("timestamp", maintain_order=True).unique(["user_id", "item_id"], keep="last")
    if ordered.height < table.height:
        logger.info("%s: %d ratings were replaced by a later one of the pair", file, table.height - ordered.height)
    return ordered.sort("timestamp", "user_id", "item_id")


def check_target(path: Path, *sources: Path) -> None:
    """Check before hours of work that the file can be written at their end.

    Raises:
        DataError: its folder does not exist or is not writable, it is a folder, or it is one of the sources.
    """
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise DataError(f"{path} is one of the tables that are read: name another file to write")
    if path.is_dir():
        raise DataError(f"{path} cannot be written: it is a folder; name a file in it")
    part = path.with_name(f"{path.name}.part")
    try:
        part.touch()
        part.unlink()
    except OSError as fault:
        raise _unwritable(path, fault) from fault


def _unwritable(path: Path, fault: OSError) -> DataError:
    return DataError(f"{path} cannot be written ({fault.strerror or fault}): name a file in a folder that is there")


def write_lists(lists: pl.DataFrame, path: Path) -> None:
    """Write Parquet completely or not at all.

    Raises:
        DataError: the folder does not exist or is not writable.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        lists.write_parquet(part)
        part.replace(path)
    except OSError as fault:
        raise _unwritable(path, fault) from fault
    finally:
        part.unlink(missing_ok=True)


def external_ids(numbers: npt.NDArray[np.int64], ids: pl.Series) -> pl.Series:
    """The external ids of some numbers."""
    return ids.gather(numbers)
