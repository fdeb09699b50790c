"""What must be true of the days of the event log."""

import dagster as dg

from recsys_assets.refresh.planner import log_gaps
from recsys_assets.resources import LakeResource


@dg.asset_check(asset="interaction_log_head")
def every_closed_day_is_ingested(lake: LakeResource) -> dg.AssetCheckResult:
    """Every closed day is ingested, and its log has not changed since.

    Days without events are listed but do not fail.
    """
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
