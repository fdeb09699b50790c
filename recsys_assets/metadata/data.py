"""Metadata of the data stage: counts, columns, and how ratings are distributed over stars and movies."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from recsys_assets.metadata.pictures import ACCENT, ALARM, bars, picture
from recsys_assets.metadata.tables import Lineage, Metadata, table_metadata

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recsys_core.data.movielens.reading import Read
    from recsys_core.data.splits import Splits

RATED = ("user_id", "item_id", "rating", "timestamp")

RATINGS_LINEAGE: Lineage = {
    f"{table}{name}": (f"base_ratings.{name}", f"interaction_log_head.{name}")
    for table in ("", "every_rating.")
    for name in RATED
} | {"event_id": ("interaction_log_head.event_id",)}

SPLITS_LINEAGE: Lineage = {name: (f"ratings.{name}",) for name in RATED} | {
    "slice": ("ratings.timestamp",),
    "users.slice": ("ratings.timestamp",),
    "users.user_id": ("ratings.user_id",),
    "users.cut": ("ratings.timestamp",),
    "cutoffs.slice": ("ratings.timestamp",),
    "cutoffs.window": ("ratings.timestamp",),
    "cutoffs.fit_end": ("ratings.timestamp",),
    "cutoffs.until": ("ratings.timestamp",),
}


def raw_data_metadata(table: pl.DataFrame, path: Path) -> Metadata:
    """The name, digest, path and size of the data set."""
    from recsys_core.data.movielens.sources import source_bytes
    from recsys_core.data.schemas import RAW_DATA

    about = table.row(0, named=True)
    return {**about, "path": str(path), "source_bytes": source_bytes(path), **table_metadata(table, RAW_DATA)}


def movies_metadata(read: "Read") -> Metadata:
    """The movies, and what became of the lines that they were read from."""
    from recsys_core.data.schemas import MOVIES, QUARANTINE

    return {
        **table_metadata(read.table, MOVIES, rejected=(read.rejected, QUARANTINE)),
        **rejected_metadata(read.rejected, read.notes),
        "fates_of_lines": fates_of_lines(read.counts),
    }


def base_ratings_metadata(kept: pl.DataFrame, read: "Read") -> Metadata:
    """The ratings that are not held back, and what became of the lines that they were read from."""
    from recsys_core.data.ratings_table import about_ratings
    from recsys_core.data.schemas import QUARANTINE, RATINGS

    return {
        **table_metadata(kept, RATINGS, rejected=(read.rejected, QUARANTINE)),
        **about_ratings(kept),
        **rejected_metadata(read.rejected, read.notes),
        "fates_of_lines": fates_of_lines(read.counts),
    }


def rejected_metadata(rejected: pl.DataFrame, notes: list[str]) -> Metadata:
    """The first lines that were set aside, and notes on odd lines that were accepted."""
    from recsys_core.markdown import markdown_table

    first = [[str(cell) for cell in row] for row in rejected.head(20).iter_rows()]
    return {
        "rejected_rows": dg.MetadataValue.md(markdown_table(rejected.columns, first) if first else "none"),
        "notes": dg.MetadataValue.json(notes),
    }


def fates_of_lines(counts: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """A picture of how many lines were accepted, rejected and so on."""
    names, values = list(counts), list(counts.values())
    colours = [ALARM if name == "rejected" else ACCENT for name in names]
    return picture(
        bars([name.replace("_", " ") for name in names], values, "rows", colours, [f"{n:,}" for n in values]),
        height=0.6 + 0.22 * len(names),
    )


def ratings_metadata(ratings: pl.DataFrame, every: pl.DataFrame) -> Metadata:
    """Counts, and the distributions of stars and popularity; `every` also holds the ratings that were replaced."""
    from recsys_core.data.ratings_table import about_ratings, ratings_by_rank, ratings_by_stars
    from recsys_core.data.schemas import EVERY_RATING, MERGED_RATINGS

    stars, popularity = ratings_by_stars(ratings), ratings_by_rank(ratings)

    def draw_stars(axes: "Axes") -> None:
        axes.bar(stars["rating"].to_list(), stars["n"].to_list(), width=0.4, color=ACCENT)
        axes.set(xlabel="stars given", ylabel="ratings", xticks=range(1, 6))

    def draw_popularity(axes: "Axes") -> None:
        axes.loglog(range(1, len(popularity) + 1), popularity, color=ACCENT)
        axes.set(xlabel="rank of the movie by popularity (log scale)", ylabel="ratings of the movie (log)")

    return {
        **table_metadata(ratings, MERGED_RATINGS, RATINGS_LINEAGE, every_rating=(every, EVERY_RATING)),
        **about_ratings(ratings),
        "stars": picture(draw_stars),
        "popularity": picture(draw_popularity),
    }


def splits_metadata(splits: "Splits") -> Metadata:
    """The dates and the number of users of each slice."""
    from recsys_core.data.schemas import CUTOFFS, SLICE_USERS, TARGETS
    from recsys_core.markdown import markdown_table

    users, targets = (dict(table.group_by("slice").len().iter_rows()) for table in (splits.users, splits.targets))
    dated = splits.cutoffs.with_columns(
        pl.from_epoch(pl.col("fit_end", "until"), time_unit="s").dt.date().cast(pl.String)
    )
    slices = dated.select("slice", "fit_end", "until", pl.col("is_exam").replace_strict({True: "yes", False: "no"}))
    rows = [[*row, str(users.get(row[0], 0)), str(targets.get(row[0], 0))] for row in slices.iter_rows()]
    header = ["slice", "models see ratings until", "targets known by", "evaluates models", "queries", "targets"]
    return {
        **table_metadata(
            splits.targets,
            TARGETS,
            SPLITS_LINEAGE,
            users=(splits.users, SLICE_USERS),
            cutoffs=(splits.cutoffs, CUTOFFS),
        ),
        **{f"n_users.{name}": n for name, n in users.items()},
        "slices": dg.MetadataValue.md(markdown_table(header, rows)),
    }
