"""The tables that this stage produces. Each is checked once, where it is made, without coercion.

`timestamp` is in whole seconds since 1970-01-01 UTC, as MovieLens gives it.
"""

import pandera.polars as pa
import polars as pl

RATING_STEPS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
"""The half-star grid: every rating is one of these."""

LIKED = 4.0
"""A rating of at least this many stars is a like: the target of retrieval and ranking."""

EARLIEST_TIMESTAMP = 789_652_009
"""1995-01-09 11:46:49 UTC, the first rating that MovieLens ever published; earlier ones are invalid."""

LATEST_TIMESTAMP = 4_102_444_800
"""2100-01-01 UTC: later values are milliseconds or invalid."""

MAX_ID = 2**53 - 1
"""The largest id of a user or an item: a larger one is not exact in float64, nor in JSON as most programs read it."""

YEARS = (1870, 2100)
"""First and last accepted year of release, both included."""

PREVIEW_YEARS = 1
"""How many calendar years before its year of release a movie may be rated: previews and festivals. Earlier ratings
prove the year wrong."""

RATINGS_COLUMNS: dict[str, pl.DataType] = {
    "user_id": pl.Int64(),
    "item_id": pl.Int64(),
    "rating": pl.Float32(),
    "timestamp": pl.Int64(),
}

MERGED_RATINGS_COLUMNS: dict[str, pl.DataType] = {**RATINGS_COLUMNS, "event_id": pl.String()}

MOVIES_COLUMNS: dict[str, pl.DataType] = {
    "item_id": pl.Int64(),
    "title": pl.String(),
    "genres": pl.List(pl.String()),
    "year": pl.Int32(),
}

_ID = pa.Check.in_range(0, MAX_ID)
_WINDOW = pa.Check.in_range(EARLIEST_TIMESTAMP, LATEST_TIMESTAMP)

_RATING = {
    "user_id": pa.Column(pl.Int64, _ID, description="The user, as the source numbers them."),
    "item_id": pa.Column(pl.Int64, _ID, description="The movie: MovieLens' movieId."),
    "rating": pa.Column(pl.Float32, pa.Check.isin(RATING_STEPS), description="Stars; four or more are a like."),
    "timestamp": pa.Column(
        pl.Int64,
        _WINDOW,
        description="Time of the rating, in seconds UTC.",
    ),
}

RATINGS = pa.DataFrameSchema(_RATING, name="ratings", strict=True, ordered=True, unique=["user_id", "item_id"])
"""One row per (user, item): the rating in stars and when it was given; sorted by timestamp, user_id, item_id."""

MERGED_RATINGS = pa.DataFrameSchema(
    {
        **_RATING,
        "event_id": pa.Column(
            pl.String, nullable=True, description="The logged event of the rating; null for a rating of the data set."
        ),
    },
    name="merged_ratings",
    strict=True,
    ordered=True,
    unique=["user_id", "item_id"],
)
"""RATINGS, and where each comes from: the logged event, or null for the data set."""

EVERY_RATING = pa.DataFrameSchema(_RATING, name="every_rating", strict=True, ordered=True)
"""RATINGS with the ratings that a later one of the same user and item replaced."""

MOVIES = pa.DataFrameSchema(
    {
        "item_id": pa.Column(pl.Int64, _ID, unique=True, description="MovieLens' movieId."),
        "title": pa.Column(pl.String, description="Title without its year; empty where unknown."),
        "genres": pa.Column(pl.List(pl.String), description="Genres; an empty list where none are listed."),
        "year": pa.Column(
            pl.Int32,
            pa.Check.in_range(*YEARS),
            nullable=True,
            description="Year of release from the title; null if ratings contradict it.",
        ),
    },
    name="movies",
    strict=True,
    ordered=True,
)
"""One row per movie: title without its year ('' where unknown), genres ([] where none are listed), year of release
(null where unknown); sorted by item_id."""

QUARANTINE = pa.DataFrameSchema(
    {
        "file": pa.Column(pl.String, description="Name of the file inside the data set."),
        "line": pa.Column(pl.Int64, pa.Check.ge(1), description="Line on which the row starts, from 1."),
        "column": pa.Column(pl.String, description="The column at fault; empty where it is the whole row."),
        "reason": pa.Column(pl.String, description="Reason of the rejection."),
        "value": pa.Column(pl.String, description="The rejected value, cut short."),
    },
    name="quarantine",
    strict=True,
    ordered=True,
)
"""One row per rejected row: the line (from 1) where it starts, the column at fault ('' where it is the whole row), why,
and the value, cut short."""

RAW_DATA = pa.DataFrameSchema(
    {
        "dataset": pa.Column(
            pl.String, description="The name of a known data set, or a path, as the settings give it."
        ),
        "sha256": pa.Column(
            pl.String,
            pa.Check.str_length(64, 64),
            description="Digest of the zip, or of a folder's file names and bytes.",
        ),
    },
    name="raw_data",
    strict=True,
    ordered=True,
)
"""One row: the version of the input data."""

_SLICE = pa.Column(pl.String, description="A step of a window, or `now`.")

CUTOFFS = pa.DataFrameSchema(
    {
        "slice": _SLICE,
        "window": pa.Column(pl.String, description="The window that the step belongs to."),
        "fit_end": pa.Column(pl.Int64, _WINDOW, description="First second that no model of the slice may see (UTC)."),
        "until": pa.Column(pl.Int64, pa.Check.ge(EARLIEST_TIMESTAMP), description="End of the window, exclusive, UTC."),
        "is_exam": pa.Column(
            pl.Boolean, description="Whether models are evaluated on the window; the others only provide training rows."
        ),
    },
    name="cutoffs",
    strict=True,
    ordered=True,
    unique=["slice"],
)
"""One row per slice of `splits.Splits`."""

SLICE_USERS = pa.DataFrameSchema(
    {
        "slice": _SLICE,
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), description="A user of this slice."),
        "cut": pa.Column(
            pl.Int64,
            _WINDOW,
            description="The request: ratings of the user strictly before this second (UTC) are known.",
        ),
    },
    name="users",
    strict=True,
    ordered=True,
    unique=["slice", "user_id"],
)
"""One row per slice and user of `splits.Splits`."""

TARGETS = pa.DataFrameSchema(
    {
        "slice": _SLICE,
        "user_id": pa.Column(pl.Int64, pa.Check.ge(0), description="The user."),
        "item_id": pa.Column(pl.Int64, pa.Check.ge(0), description="The liked movie."),
        "rating": pa.Column(
            pl.Float32, pa.Check.in_range(LIKED, RATING_STEPS[-1]), description="Stars: all are likes."
        ),
        "timestamp": pa.Column(pl.Int64, _WINDOW, description="Time of the like, at or after the user's cut (UTC)."),
    },
    name="targets",
    strict=True,
    ordered=True,
    unique=["slice", "user_id", "item_id"],
)
"""One row per slice, user and liked item of `splits.Splits`; those of the test are in a file of their own."""
