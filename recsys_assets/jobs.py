"""What one asks for: jobs over the assets, under the names that one would look for."""

import dagster as dg

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run config for the command line: Dagster's own lines stay in its event log, and ours are shown."""

LAUNCHED = {"recsys/launched_by": "recsys refresh"}
"""Tags of the runs that the command line starts."""

full_refresh = dg.define_asset_job(
    "full_refresh",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("interactions"),
    description="The whole graph on what has been ingested, from the data set to the evaluation report.",
)

ingest_interactions = dg.define_asset_job(
    "ingest_interactions",
    selection=dg.AssetSelection.assets("interactions"),
    description="The log of one or more days of arrival; choose the days as partitions.",
)
