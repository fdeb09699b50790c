"""Whose requests a drift report looks at, and the report with its development over time."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import JsonValue

from recsys_core.days import DAY_S
from recsys_core.features.registry import feature_set_version
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.drift import DriftReport, drift_report, stability_over_time
from recsys_core.monitoring.reference import Reference
from recsys_core.monitoring.schemas import DRIFT_SOURCE
from recsys_core.monitoring.served import Served, asked_at
from recsys_core.tables import read_table, write_table

LOGGED, PAST = "logged requests", "past requests"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The latest window beside the reference, and effect sizes of the periods up to it.

    Attributes:
        drift: the report on the window.
        periods: period (its first second, UTC), column, n_clusters, psi, window_missing_share.
        source: whose requests these are: LOGGED or PAST.
    """

    drift: DriftReport
    periods: pl.DataFrame
    source: str

    def save(self, folder: Path) -> None:
        """Write all tables."""
        self.drift.save(folder)
        write_table(self.periods, folder / "periods.parquet")
        source = DRIFT_SOURCE.validate(pl.DataFrame({"source": [self.source]}))
        write_table(source, folder / "source.parquet")

    @classmethod
    def load(cls, folder: Path) -> "Watch":
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is absent or damaged.
        """
        return cls(
            drift=DriftReport.load(folder),
            periods=read_table(folder / "periods.parquet"),
            source=read_table(folder / "source.parquet")["source"].item(),
        )

    def headline(self) -> dict[str, JsonValue]:
        """The figures worth following from report to report."""
        return {"source": self.source, **self.drift.headline()}


def watch(reference: Reference, logged: Served, past: Served, config: DriftConfig) -> Watch:
    """Judge the latest window of what people were shown; while too few of them asked, of what the past would have been.

    Args:
        reference: what the ranker learned from.
        logged: requests of the event log, of any release: whoever is shown what, it is the features that may drift.
            Those that read another version of the features than this code computes are left out.
        past: what the release would have shown in the past.
        config: length of window and periods, and when there are enough users.
    """
    logged = logged.of_feature_set(feature_set_version())
    recent = logged.of_last_days(config.window_days)
    served, source = (logged, LOGGED) if recent.n_users >= config.min_clusters else (past, PAST)
    length = config.period_days * DAY_S
    numbers = served.impressions.select(asked_at() // length).to_series().to_numpy()
    periods = stability_over_time(reference, served.sample(), numbers, config)
    return Watch(
        drift=drift_report(reference, served.of_last_days(config.window_days).sample(), config),
        periods=periods.with_columns(pl.col("period") * length),
        source=source,
    )
