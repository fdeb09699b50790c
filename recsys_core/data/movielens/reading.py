"""A MovieLens data set, as a zip or a folder -> validated tables, and counts of all lines.

For each table, `accepted + rejected + exact_repeats + replaced == lines` holds in its counts, so that nothing is lost
silently. Where a data set comes from is the business of `sources` and `fetch`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from recsys_core.data.config import ReadingConfig
from recsys_core.data.fields import BadRow, Quarantine
from recsys_core.data.movielens import movies as movie_lines
from recsys_core.data.movielens import ratings as rating_lines
from recsys_core.data.movielens.archives import Files, opened
from recsys_core.data.movielens.layouts import TableLayout, layout_of
from recsys_core.data.movielens.lines import Block, blocks
from recsys_core.data.movielens.records import Plan, plan_of
from recsys_core.data.schemas import MOVIES, QUARANTINE, RATINGS, RATINGS_COLUMNS
from recsys_core.errors import DataError

DEFAULT = ReadingConfig()
RATINGS_OF_NOBODY = pl.DataFrame(schema=RATINGS_COLUMNS)


@dataclass(frozen=True, kw_only=True)
class Read:
    """One table: its rows, the rejected lines, their counts, and notes on accepted oddities."""

    table: pl.DataFrame
    rejected: pl.DataFrame  # QUARANTINE
    counts: dict[str, int]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A whole data set; counts are keyed "ratings.accepted" and the like."""

    ratings: pl.DataFrame  # RATINGS
    movies: pl.DataFrame  # MOVIES
    rejected: pl.DataFrame  # QUARANTINE, of all files
    counts: dict[str, int]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """One table's file, ready to be read line by line."""

    blocks: Iterator[Block]
    plan: Plan
    quarantine: Quarantine
    notes: list[str] = field(default_factory=list)


def read_ratings(path: Path, config: ReadingConfig = DEFAULT) -> Read:
    """The ratings of a data set, one per (user, item), sorted by timestamp, user_id, item_id.

    Of a pair that was rated twice the latest is kept (`replaced` counts the others), of equal lines one
    (`exact_repeats`). A rating of a movie that the movie table does not know is kept; see `unknown_movies`.

    Args:
        path: a zip, or the folder that holds its unpacked files.
        config: how strictly to read.

    Raises:
        DataError: the archive, the file, or too large a share of its lines is bad.
    """
    with opened(path) as files, _open_table(files, layout_of(files).ratings, config) as lines:
        rows, n_lines = rating_lines.rating_rows(lines.blocks, lines.plan, config, lines.quarantine)
        _check_rows(lines, rows.height, n_lines)
    kept = rating_lines.deduplicated(rows)
    del rows  # at 25M ratings 0.7 GB, which the check of the schema can use
    counts = {"exact_repeats": kept.n_exact, "replaced": kept.n_replaced}
    return _read(lines, RATINGS.validate(kept.table), n_lines, counts)


def read_movies(path: Path, config: ReadingConfig = DEFAULT, ratings: pl.DataFrame | None = None) -> Read:
    """The movies of a data set, sorted by item_id: title without year, genres, year.

    An empty title stays (counted as `without_title`), as do a missing year and missing genres.

    Args:
        path: as for `read_ratings`.
        config: how strictly to read.
        ratings: RATINGS of the same data set. A year of release that they contradict is set aside: `rejected` names it,
            and the movie stays without a year.

    Raises:
        DataError: as for `read_ratings`; or two movies share an id.
    """
    with opened(path) as files, _open_table(files, layout_of(files).movies, config) as lines:
        rows, n_lines = movie_lines.movie_rows(lines.blocks, lines.plan, lines.quarantine)
        _check_rows(lines, rows.height, n_lines)
    table = movie_lines.without_repeats(rows, lines.plan.file)
    wrong = movie_lines.contradicted_years(rows, RATINGS_OF_NOBODY if ratings is None else ratings)
    table = MOVIES.validate(movie_lines.without_years(table, wrong["item_id"]))
    counts = {
        "exact_repeats": rows.height - table.height,
        "years_set_aside": wrong["item_id"].n_unique(),
        "without_title": table.filter(pl.col("title") == "").height,
        "without_year": table["year"].null_count(),
        "without_genres": table.filter(pl.col("genres").list.len() == 0).height,
    }
    read = _read(lines, table, n_lines, counts)
    rejected = pl.concat([read.rejected, _wrong_years(wrong, lines.plan.file)]).sort("line", maintain_order=True)
    return replace(read, rejected=rejected)


def read_dated_movies(path: Path, config: ReadingConfig = DEFAULT) -> Read:
    """`read_movies`, where years of release that the data set's own ratings contradict are set aside.

    Raises:
        DataError: as for `read_movies`, or the ratings hold no valid row. How many of their lines are bad is left to
            `read_ratings`.
    """
    ratings = read_ratings(path, config.model_copy(update={"max_bad_share": 1.0}))
    return read_movies(path, config, ratings.table)


def read_dataset(path: Path, config: ReadingConfig = DEFAULT) -> Dataset:
    """All tables of a data set.

    Raises:
        DataError: as for the single tables; or too many ratings are of movies that the movie table does not know.
    """
    ratings = read_ratings(path, config)
    movies = read_movies(path, config, ratings.table)
    unknown = check_unknown_movies(ratings.table, movies.table, config)
    reads = {"ratings": ratings, "movies": movies}
    counts = {f"{name}.{key}": n for name, read in reads.items() for key, n in read.counts.items()}
    return Dataset(
        ratings=ratings.table,
        movies=movies.table,
        rejected=QUARANTINE.validate(pl.concat([read.rejected for read in reads.values()])),
        counts=counts | {"ratings.of_unknown_movies": unknown},
        notes=[note for read in reads.values() for note in read.notes],
    )


def unknown_movies(ratings: pl.DataFrame, movies: pl.DataFrame) -> pl.DataFrame:
    """Rated movies that are not in the movie table: item_id and n_ratings, by item_id."""
    strangers = ratings.join(movies, on="item_id", how="anti")
    # Int64, since polars counts in UInt32, whose sums wrap silently.
    return strangers.group_by("item_id").agg(pl.len().cast(pl.Int64).alias("n_ratings")).sort("item_id")


def check_unknown_movies(ratings: pl.DataFrame, movies: pl.DataFrame, config: ReadingConfig = DEFAULT) -> int:
    """Number of ratings of movies that are not in the movie table.

    Raises:
        DataError: their share is above `max_unknown_share`.
    """
    unknown = unknown_movies(ratings, movies)
    n_unknown = int(unknown["n_ratings"].sum())
    if n_unknown > config.max_unknown_share * ratings.height:
        raise DataError(
            f"{n_unknown:,} of {ratings.height:,} ratings are of movies that the movie table does not know (the first "
            f"is {unknown['item_id'][0]}), above the {config.max_unknown_share:.1%} allowed: check that both files are "
            f"from one data set, or raise max_unknown_share"
        )
    return n_unknown


@contextmanager
def _open_table(files: Files, layout: TableLayout, config: ReadingConfig) -> Iterator[_Opened]:
    notes: list[str] = []
    with files.open(layout.file) as stream:
        packed = files.packed_bytes(layout.file)
        found = blocks(stream, layout.file, layout.encoding_under(config), notes, packed_bytes=packed)
        first = next(found, None)
        if first is None:
            raise DataError(f"{layout.file} is empty: fetch the data set again")
        plan, rest = plan_of(layout, first, notes)
        quarantine = Quarantine(layout.file, config.max_bad_share)
        yield _Opened(blocks=_chained(rest, found), plan=plan, quarantine=quarantine, notes=notes)


def _chained(first: Block, others: Iterator[Block]) -> Iterator[Block]:
    """The blocks of a file, a first one that held only the header left out."""
    if first.text:
        yield first
    yield from others


def _check_rows(lines: _Opened, n_rows: int, n_lines: int) -> None:
    lines.quarantine.check(n_lines)
    if n_rows == 0:
        raise DataError(f"{lines.plan.file} holds no valid row: fetch the data set again")


def _read(lines: _Opened, table: pl.DataFrame, n_lines: int, counts: dict[str, int]) -> Read:
    base = {"lines": n_lines, "accepted": table.height, "rejected": len(lines.quarantine)}
    return Read(table=table, rejected=lines.quarantine.table(), counts=base | counts, notes=lines.notes)


def _wrong_years(found: pl.DataFrame, file: str) -> pl.DataFrame:
    """QUARANTINE rows of years of release that ratings contradict."""
    aside = Quarantine(file, max_bad_share=1.0)
    for movie in found.iter_rows(named=True):
        reason = (
            f"rated in {movie['rated_in']}, before the year of release; only the year of movie {movie['item_id']} is "
            "set aside"
        )
        aside.add(movie["line"], BadRow("title", reason, f"{movie['title']} ({movie['year']})"))
    return aside.table()
