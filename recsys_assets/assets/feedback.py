"""Stage 2, feedback: what users did lately -> interactions by day of arrival."""

import dagster as dg

from recsys_assets.metadata import rejected_metadata, table_metadata
from recsys_assets.partitions import arrival_days
from recsys_assets.planning import ingested_days
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.recipes import versioned_asset
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.feedback.config import InteractionsConfig
from recsys_core.tables import tables_writer


@from_settings("interactions")
class InteractionsRun(dg.Config, InteractionsConfig):
    """How strictly a day's log is read, and when a day is closed."""


@versioned_asset(
    outside=["log"],
    form=InteractionsRun,
    libraries=["polars", "pyarrow"],
    kinds=["polars", "parquet"],
    partitions_def=arrival_days,
)
def interactions(context: dg.AssetExecutionContext, config: InteractionsRun, lake: LakeResource) -> Published:
    """What users did, by the day on which it arrived; each event keeps its own, perhaps earlier, time.

    A day without a log gives an empty table. The same log gives the same version, so a backfill can be repeated.
    """
    from recsys_core.feedback.interactions import read_day

    run = AssetRun(context, lake, config)
    day = context.partition_key
    with lake.open_log() as log:
        read = read_day(log, day, config)
    run.read_from_outside(f"log/{day}", read.version)
    return run.publish(
        tables_writer(interactions=read.interactions, rejected=read.rejected),
        times=read.interactions["timestamp"],
        facts=read.counts,
        metadata=table_metadata(read.interactions) | rejected_metadata(read.rejected, []),
    )


@versioned_asset(deps=["interactions"], libraries=["polars", "pyarrow"], kinds=["polars", "parquet"])
def interaction_log_head(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """The logged ratings of all days together, and which version of each day went in.

    Dagster does not carry staleness from a daily asset to one without partitions; this asset stands between the two.
    """
    from recsys_core.feedback.head import log_head
    from recsys_core.tables import read_table

    run = AssetRun(context, lake)
    days = ingested_days(lake)
    tables = {day: read_table(run.folder("interactions", day) / "interactions.parquet") for day in days}
    head = log_head(tables)
    return run.publish(
        tables_writer(interaction_log_head=head),
        times=head["timestamp"],
        facts={"n_days": len(days), "n_ratings": head.height},
        metadata=table_metadata(head),
    )
