"""Stage 2, feedback: what users did lately -> interactions by day of arrival."""

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
    """When it is known what came of a shown item."""


@from_settings("implicit_feedback")
class ImplicitFeedbackRun(dg.Config, ImplicitConfig):
    """What a click is worth."""


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
    """The logged ratings of all days together, the clicks beside them, and which version of each day went in.

    Dagster does not carry staleness from a daily asset to one without partitions; this asset stands between the two.
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
    """Every shown slot that can be judged by now, and what came of it: a like, or a negative that the user has seen.

    The ranker learns from it beside the questions of the windows. Propensities are carried along for evaluation.
    """
    from recsys_core.feedback.deduplication import rows_until, shown_version
    from recsys_core.feedback.labels import outcomes
    from recsys_core.feedback.records import IMPRESSIONS_TABLE
    from recsys_core.feedback.set_aside import requests_set_aside, without
    from recsys_core.tables import read_table

    run, until = AssetRun(context, lake, config), settled_until()
    with lake.open_log() as log:
        run.read_from_outside("shown", shown_version(log, until))
        impressions = without(rows_until(log, IMPRESSIONS_TABLE, until), requests_set_aside(log))
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
    """What users clicked, with the weight that it has for the towers: a hope of a like, where no rating tells.

    Kept apart from ratings: stars that nobody gave would bend every mean.
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
