"""What must hold of the log's days, and of what models learn from them."""

import dagster as dg

from recsys_assets.refresh.planner import log_gaps
from recsys_assets.resources import LakeResource


@dg.asset_check(asset="interaction_log_head")
def every_closed_day_is_ingested(lake: LakeResource) -> dg.AssetCheckResult:
    """No closed day waits to be ingested, or has changed since; days on which nothing arrived are only told."""
    from recsys_core.feedback.inspection import SILENT
    from recsys_core.markdown import markdown_table

    found = log_gaps(lake)
    is_silent = found["what"] == SILENT
    waiting, silent = sum(found.filter(~is_silent)["n_days"]), sum(found.filter(is_silent)["n_days"])
    rows = [[str(cell) for cell in row] for row in found.iter_rows()]
    return dg.AssetCheckResult(
        passed=not waiting,
        metadata={
            "n_days_waiting": waiting,
            "n_silent_days": silent,
            "gaps": dg.MetadataValue.md(markdown_table(found.columns, rows) if rows else "none"),
            "remedy": "recsys refresh",
        },
    )
