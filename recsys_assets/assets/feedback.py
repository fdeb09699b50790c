"""Stage 2, feedback: what users did lately -> interactions by day of arrival, and what models learn from them."""

import dagster as dg

from recsys_assets.asset_specs import arrival_days, versioned_asset
from recsys_assets.metadata.feedback import (
    head_metadata,
    implicit_metadata,
    interactions_metadata,
    outcomes_metadata,
)
from recsys_assets.publishing import AssetRun, Published, together
from recsys_assets.refresh.planner import ingested_days, refuse_losses, settled_until
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.feedback.config import ImplicitConfig, InteractionsConfig, OutcomesConfig
from recsys_core.tables import tables_writer


@from_settings("interactions")
class InteractionsRun(dg.Config, InteractionsConfig):
    """How strictly a day's log is read, and when a day is closed."""


@from_settings("impression_outcomes")
class ImpressionOutcomesRun(dg.Config, OutcomesConfig):
    """After what time the outcome of a shown item is known."""


@from_settings("implicit_feedback")
class ImplicitFeedbackRun(dg.Config, ImplicitConfig):
    """How much a click counts."""


@versioned_asset(
    outside=["log"],
    form=InteractionsRun,
    libraries=["polars", "pyarrow"],
    kinds=["polars", "parquet"],
    partitions_def=arrival_days,
)
def interactions(context: dg.AssetExecutionContext, config: InteractionsRun, lake: LakeResource) -> Published:
    """What users did, read from the event log: one partition for each day on which events arrived.

    Each event keeps its own time, which may be earlier than its arrival. A day without a log gives an empty table. The
    same log gives the same version, so a backfill can be repeated safely. Look at `fates_of_lines` for how many events
    were accepted, and at `rejected_rows` for the others.
    """
    from recsys_core.feedback.interactions import read_days

    with lake.open_log() as log:
        refuse_losses(lake, log, context.partition_keys)
        made = {
            day: AssetRun(context, lake, config, partition=day)
            .read_from_outside(f"log/{day}", read.version)
            .publish(
                tables_writer(interactions=read.interactions, rejected=read.rejected),
                times=read.interactions["timestamp"],
                facts=read.counts,
                metadata=interactions_metadata(read, len(context.partition_keys)),
            )
            for day, read in read_days(log, context.partition_keys, config)
        }
    return together(context, made)


@versioned_asset(deps=["interactions"], libraries=["polars", "pyarrow"], kinds=["polars", "parquet"])
def interaction_log_head(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """The logged ratings and clicks of all days, in one asset without partitions.

    Dagster does not carry staleness from a partitioned asset to one without partitions. This asset stands between the
    two: its inputs name the version of each day of `interactions`. Look at `arrivals` for the number of events by day.
    """
    from recsys_core.feedback.labels import logged_clicks, logged_ratings
    from recsys_core.tables import read_table

    run = AssetRun(context, lake)
    days = ingested_days(lake)
    tables = {day: read_table(run.folder("interactions", day) / "interactions.parquet") for day in days}
    head, clicks = logged_ratings(tables), logged_clicks(tables)
    return run.publish(
        tables_writer(interaction_log_head=head, clicks=clicks),
        times=head["timestamp"].append(clicks["timestamp"]),
        facts={"n_days": len(days), "n_ratings": head.height, "n_clicks": clicks.height},
        metadata=head_metadata(head, clicks, tables),
    )


@versioned_asset(
    deps=["interaction_log_head"],
    outside=["shown"],
    form=ImpressionOutcomesRun,
    libraries=["polars", "pyarrow"],
    kinds=["polars", "parquet"],
)
def impression_outcomes(
    context: dg.AssetExecutionContext, config: ImpressionOutcomesRun, lake: LakeResource
) -> Published:
    """What users did with each movie that they were shown: liked it, or passed over it.

    Made from the impressions of the event log and from `interaction_log_head`. A shown movie appears here once its
    outcome is known, a day after it was shown. The ranker learns from these rows beside the candidates of the windows.
    Look at `likes_by_position`: places at the top of a list get more likes.
    """
    from recsys_core.feedback.deduplication import rows_until, shown_version
    from recsys_core.feedback.labels import outcomes
    from recsys_core.feedback.quarantine import excluded_requests, without_requests
    from recsys_core.feedback.records import IMPRESSIONS_TABLE
    from recsys_core.tables import read_table

    run, until = AssetRun(context, lake, config), settled_until()
    with lake.open_log() as log:
        run.read_from_outside("shown", shown_version(log, until))
        impressions = without_requests(rows_until(log, IMPRESSIONS_TABLE, until), excluded_requests(log))
    head = run.folder("interaction_log_head")
    ratings, clicks = (read_table(head / f"{name}.parquet") for name in ("interaction_log_head", "clicks"))
    table = outcomes(impressions, clicks, ratings, config)
    return run.publish(
        tables_writer(impression_outcomes=table),
        times=table["shown_at"],
        facts={"n_shown": table.height, "n_likes": int(table["label"].sum())},
        metadata=outcomes_metadata(table),
    )


@versioned_asset(
    deps=["interaction_log_head", "impression_outcomes"],
    form=ImplicitFeedbackRun,
    libraries=["polars", "pyarrow"],
    kinds=["polars", "parquet"],
)
def implicit_feedback(context: dg.AssetExecutionContext, config: ImplicitFeedbackRun, lake: LakeResource) -> Published:
    """The clicks of users, each with its weight in the training of the towers.

    Made from the clicks of `interaction_log_head` and the positions of `impression_outcomes`. A click suggests a like
    where no rating tells. Clicks are kept apart from ratings: stars that no user gave would distort every mean. Look at
    `total_weight`.
    """
    from recsys_core.feedback.labels import implicit_feedback as weighed
    from recsys_core.tables import read_table

    run = AssetRun(context, lake, config)
    clicks = read_table(run.folder("interaction_log_head") / "clicks.parquet")
    table = weighed(clicks, run.table("impression_outcomes"), config)
    return run.publish(
        tables_writer(implicit_feedback=table),
        times=table["timestamp"],
        facts={"n_clicks": table.height},
        metadata=implicit_metadata(table),
    )
