"""Stage 1, data: the source's bytes -> movies, ratings, and the windows of time that they are split into."""

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
    """How strictly the ratings are read, and from which day on they are held back."""


@from_settings("splits")
class SplitsRun(dg.Config, SplitsConfig):
    """Where the windows begin and end."""


@versioned_asset(outside=["source"], form=RawDataRun, kinds=["file"])
def raw_data(context: dg.AssetExecutionContext, config: RawDataRun, lake: LakeResource) -> Published:
    """The data set that everything is built from: its name, and the SHA-256 of its files.

    The asset copies nothing. It records what the source is, so that another zip makes `movies` and `base_ratings`
    stale, and with them everything that is made from these. Look at `dataset` and `path` to see which data set this
    lake uses.
    """
    from recsys_core.data.movielens.sources import locate, source_version

    run = AssetRun(context, lake, config)
    path = locate(config.dataset, lake.raw_folder)
    about = pl.DataFrame({"dataset": config.dataset, "sha256": source_version(path)})
    run.read_from_outside("source", about["sha256"].item())
    return run.publish(tables_writer(raw_data=about), metadata=raw_data_metadata(about, path))


@versioned_asset(deps=["raw_data"], form=MoviesRun, libraries=["polars", "pyarrow"], kinds=["polars", "parquet"])
def movies(context: dg.AssetExecutionContext, config: MoviesRun, lake: LakeResource) -> Published:
    """Title, genres and release year of every movie, read from `raw_data`.

    Titles and genres are all that is known of a movie before its first rating. A line that cannot be read is set aside
    in the table `rejected`, with its number and the reason. A release year later than the movie's first ratings is
    wrong; it is set aside as well, and the movie stays without a year. Look at `fates_of_lines` for how many lines were
    accepted, and at `rejected_rows` for the others.
    """
    from recsys_core.data.movielens.reading import read_dated_movies
    from recsys_core.data.movielens.sources import locate

    run = AssetRun(context, lake, config)
    read = read_dated_movies(locate(run.table("raw_data")["dataset"].item(), lake.raw_folder), config)
    run.warn_of_rejected(read.rejected)
    return run.publish(
        tables_writer(movies=read.table, rejected=read.rejected),
        facts=read.counts,
        metadata=movies_metadata(read),
    )


@versioned_asset(
    deps=["raw_data", "movies"], form=BaseRatingsRun, libraries=["polars", "pyarrow"], kinds=["polars", "parquet"]
)
def base_ratings(context: dg.AssetExecutionContext, config: BaseRatingsRun, lake: LakeResource) -> Published:
    """The ratings of the data set, read from `raw_data`: the latest of each user and movie.

    Lines that cannot be read are set aside in the table `rejected`, with their number and the reason. Ratings that
    users log later are not here but in `ratings`, so a new day of the log does not cause the whole data set to be read
    again. Look at `fates_of_lines` and `rejected_rows`.
    """
    from recsys_core.data.movielens.reading import check_unknown_movies, read_ratings
    from recsys_core.data.movielens.sources import locate
    from recsys_core.data.ratings_table import split_holdback

    run = AssetRun(context, lake, config)
    read = read_ratings(locate(run.table("raw_data")["dataset"].item(), lake.raw_folder), config)
    run.warn_of_rejected(read.rejected)
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
    """All ratings: those of the data set (`base_ratings`) and those logged since (`interaction_log_head`).

    The latest rating of each user and movie counts; `event_id` names the logged event that it comes from. The second
    table, `every_rating`, also keeps the ratings that were replaced, because the past must be seen as it was then. The
    feedback loop closes here: everything that learns from ratings reads this asset. Look at `stars` and `popularity`
    for how the ratings are distributed.
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
    """The windows of time on which models are trained and evaluated, cut from `ratings`.

    For each window, the tables say which ratings models may see, for which users and times recommendations are made
    (the queries), and which movies these users liked afterwards (the targets). All windows but the first two evaluate
    models that have not seen them, and every window gives training rows to the rankers of later windows. The last
    window is the test, and its targets are in a file of their own. At the end of the chain, `now` comes after
    everything that is known: its models serve. Look at `slices` for the dates and sizes.
    """
    from recsys_core.data.splits import make_splits

    run = AssetRun(context, lake, config)
    rated = run.table("ratings", "every_rating")
    clicks = run.table("interaction_log_head", "clicks")
    made = make_splits(rated, config, [clicks["timestamp"]])
    return run.publish(made.save, times=rated["timestamp"], metadata=splits_metadata(made))
