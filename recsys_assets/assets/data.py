"""Stage 1, data: the source's bytes -> movies, ratings, and their cut-offs in time."""

import dagster as dg
import polars as pl
from pydantic import Field

from recsys_assets.asset_specs import versioned_asset
from recsys_assets.metadata.data import (
    base_ratings_metadata,
    movies_metadata,
    ratings_metadata,
    raw_data_metadata,
    splits_metadata,
)
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.data.config import RatingsReadingConfig, ReadingConfig, SplitsConfig
from recsys_core.data.movielens.sources import EMBEDDED
from recsys_core.tables import tables_writer


@from_settings("raw_data")
class RawDataRun(dg.Config):
    """Which data set the pipeline runs on."""

    dataset: str = Field(EMBEDDED, description="A known data set (`recsys data list`), or the path of a zip or folder.")


@from_settings("movies")
class MoviesRun(dg.Config, ReadingConfig):
    """How strictly the movie table is read."""


@from_settings("base_ratings")
class BaseRatingsRun(dg.Config, RatingsReadingConfig):
    """How strictly the ratings are read, and from when on they are left out."""


@from_settings("splits")
class SplitsRun(dg.Config, SplitsConfig):
    """Where the cut-offs lie."""


@versioned_asset(outside=["source"], form=RawDataRun, kinds=["file"])
def raw_data(context: dg.AssetExecutionContext, config: RawDataRun, lake: LakeResource) -> Published:
    """Which bytes the pipeline starts from: the data set's name and the SHA-256 of its files.

    It copies nothing. Its version changes when the bytes of the source do, and then movies and base_ratings are stale.
    """
    from recsys_core.data.movielens.sources import locate, source_version

    run = AssetRun(context, lake, config)
    path = locate(config.dataset, lake.raw_folder)
    about = pl.DataFrame({"dataset": config.dataset, "sha256": source_version(path)})
    run.read_from_outside("source", about["sha256"].item())
    return run.publish(tables_writer(raw_data=about), metadata=raw_data_metadata(about, path))


@versioned_asset(deps=["raw_data"], form=MoviesRun, libraries=["polars", "pyarrow"], kinds=["polars", "parquet"])
def movies(context: dg.AssetExecutionContext, config: MoviesRun, lake: LakeResource) -> Published:
    """Title, genres and year of every movie: what a new movie is known by, before anybody has rated it.

    What could not be read is in the artifact, with line and reason, so that nothing is lost in silence. A year of
    release that the data set's ratings contradict is set aside there as well, and the movie stays without a year.
    """
    from recsys_core.data.movielens.reading import read_dated_movies
    from recsys_core.data.movielens.sources import locate

    run = AssetRun(context, lake, config)
    read = read_dated_movies(locate(run.table("raw_data")["dataset"].item(), lake.raw_folder), config)
    run.tell_rejected(read.rejected)
    return run.publish(
        tables_writer(movies=read.table, rejected=read.rejected),
        facts=read.counts,
        metadata=movies_metadata(read),
    )


@versioned_asset(
    deps=["raw_data", "movies"], form=BaseRatingsRun, libraries=["polars", "pyarrow"], kinds=["polars", "parquet"]
)
def base_ratings(context: dg.AssetExecutionContext, config: BaseRatingsRun, lake: LakeResource) -> Published:
    """The data set's ratings, latest per user and movie; bad rows are in the artifact, with line and reason.

    Apart from `ratings`, so that new events of the log do not ask for the whole data set to be read again.
    """
    from recsys_core.data.movielens.reading import check_unknown_movies, read_ratings
    from recsys_core.data.movielens.sources import locate
    from recsys_core.data.ratings_table import split_holdback

    run = AssetRun(context, lake, config)
    read = read_ratings(locate(run.table("raw_data")["dataset"].item(), lake.raw_folder), config)
    run.tell_rejected(read.rejected)
    kept, later = split_holdback(read.table, config.hold_back_from)
    unknown = check_unknown_movies(kept, run.table("movies"), config)
    return run.publish(
        tables_writer(base_ratings=kept, rejected=read.rejected),
        times=kept["timestamp"],
        facts=read.counts | {"of_unknown_movies": unknown, "held_back": later.height},
        metadata=base_ratings_metadata(kept, read),
    )


@versioned_asset(
    deps=["base_ratings", "interaction_log_head"], libraries=["polars", "pyarrow"], kinds=["polars", "parquet"]
)
def ratings(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """All ratings: the data set's and those logged since; of one user and movie the latest counts.

    Each says which logged event it comes from, or none. Beside them lies every rating that was ever given, also those
    that a later one replaced: slices of the past are made from these, as of their time. Everything below starts here,
    so this is where the feedback loop closes.
    """
    from recsys_core.data.ratings_table import every_rating, merge_ratings

    run = AssetRun(context, lake)
    base, logged = run.table("base_ratings"), run.table("interaction_log_head")
    merged, every = merge_ratings(base, logged), every_rating(base, logged)
    facts = {"n_ratings": merged.height, "n_logged": logged.height, "n_from_the_log": merged["event_id"].count()}
    return run.publish(
        tables_writer(ratings=merged, every_rating=every),
        times=merged["timestamp"],
        facts=facts,
        metadata=ratings_metadata(merged, every),
    )


@versioned_asset(
    deps=["ratings", "interaction_log_head"],
    form=SplitsRun,
    libraries=["polars", "pyarrow"],
    kinds=["polars", "parquet"],
)
def splits(context: dg.AssetExecutionContext, config: SplitsRun, lake: LakeResource) -> Published:
    """The chain of windows: who is asked when, what is known of them then, and what they went on to like.

    Every window but the first ones examines models, and teaches the rankers after it. The last window is the test; its
    targets lie in a file of their own. The chain ends now, after everything that is known.
    """
    from recsys_core.data.splits import make_splits

    run = AssetRun(context, lake, config)
    rated = run.table("ratings", "every_rating")
    clicks = run.table("interaction_log_head", "clicks")
    made = make_splits(rated, config, [clicks["timestamp"]])
    return run.publish(made.save, times=rated["timestamp"], metadata=splits_metadata(made))
