"""The file layouts in which GroupLens published MovieLens over the years, and which of them a data set is in.

To support another layout, add it here: the readers know tables only through `TableLayout`.
"""

from dataclasses import dataclass

from recsys_core.data.config import ReadingConfig
from recsys_core.data.movielens.archives import Files
from recsys_core.errors import DataError

RATING_NAMES = ("userId", "movieId", "rating", "timestamp")
MOVIE_NAMES = ("movieId", "title", "genres")

GENRE_FLAGS = (
    # The order of the last 19 columns of u.item, from the README of MovieLens 100K.
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class TableLayout:
    """How one table lies in one file.

    `columns` are the file's columns in order or, with a header, the columns that it must name in any order.
    """

    file: str
    columns: tuple[str, ...]
    delimiter: str
    has_header: bool = False
    encoding: str = "utf-8"

    def encoding_under(self, config: ReadingConfig) -> str:
        """The encoding to read with: the layout's own unless the setting names another."""
        return self.encoding if config.encoding == "layout" else config.encoding


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The tables of one way to publish MovieLens.

    `told_by` names a file that tells this layout from another with the same tables; it is not read.
    """

    name: str
    ratings: TableLayout
    movies: TableLayout
    told_by: str = ""


CSV = Layout(
    name="csv",
    ratings=TableLayout(file="ratings.csv", columns=RATING_NAMES, delimiter=",", has_header=True),
    movies=TableLayout(file="movies.csv", columns=MOVIE_NAMES, delimiter=",", has_header=True),
)
"""latest-small, 20M, 25M, 32M: comma-separated with a header, quoted where needed."""

KAGGLE = Layout(
    name="kaggle",
    ratings=TableLayout(file="rating.csv", columns=RATING_NAMES, delimiter=",", has_header=True),
    movies=TableLayout(file="movie.csv", columns=MOVIE_NAMES, delimiter=",", has_header=True),
)
"""The copy of 20M on Kaggle: as CSV, but its files have names in the singular, and times are written as dates."""

ML_100K = Layout(
    name="100k",
    ratings=TableLayout(file="u.data", columns=RATING_NAMES, delimiter="\t"),
    movies=TableLayout(
        file="u.item",
        columns=("movieId", "title", "releaseDate", "videoDate", "url", *GENRE_FLAGS),
        delimiter="|",
        encoding="latin-1",
    ),
)

ML_1M = Layout(
    name="1m",
    ratings=TableLayout(file="ratings.dat", columns=RATING_NAMES, delimiter="::"),
    movies=TableLayout(file="movies.dat", columns=MOVIE_NAMES, delimiter="::", encoding="latin-1"),
    told_by="users.dat",
)

ML_10M = Layout(
    name="10m",
    ratings=TableLayout(file="ratings.dat", columns=RATING_NAMES, delimiter="::"),
    movies=TableLayout(file="movies.dat", columns=MOVIE_NAMES, delimiter="::"),
)
"""As 1M, but in UTF-8 and without users.dat."""

LAYOUTS = (CSV, KAGGLE, ML_100K, ML_1M, ML_10M)
"""A layout whose files are a subset of another's comes after it."""


def layout_of(files: Files) -> Layout:
    """The layout of a data set, by the names of its files; other files are ignored.

    Raises:
        DataError: the names fit no layout.
    """
    names = files.names()
    for layout in LAYOUTS:
        if {layout.ratings.file, layout.movies.file, layout.told_by} - {""} <= names:
            return layout
    found = ", ".join(sorted(names)[:8]) or "no file at its top"
    raise DataError(
        f"{files.path.name} is in no known layout: expected ratings.csv and movies.csv, or u.data and u.item, "
        f"or ratings.dat and movies.dat; found {found}"
    )
