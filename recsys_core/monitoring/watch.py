"""Which two periods a drift report compares, and the report with its development over time.

Both periods are of one kind. Two periods of the event log are compared where both hold enough users; otherwise the last
two examined windows are, each answered by a ranker that had not learned from it. What a model learned from is no
reference for what it is asked: it has been refitted on nearly all requests that one could compare.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import JsonValue

from recsys_core.days import DAY_S, day_of
from recsys_core.features.registry import feature_set_version, names_of
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.drift import DriftReport, drift_report, stability_over_time
from recsys_core.monitoring.examined import examined_sample
from recsys_core.monitoring.reference import make_reference
from recsys_core.monitoring.sample import Sample
from recsys_core.monitoring.schemas import DRIFT_COMPARED
from recsys_core.monitoring.served import Served, asked_at
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.training_rows import RankingExamples
from recsys_core.tables import read_table, write_table

LOG, EXAMINED = "event log", "examined windows"

SHARED = (*names_of("item"), "pair_trend_score")
"""Columns that hold one value per item for all users of a fit, or nearly so: a trend score knows of its user no more
than the time of the latest rating. Each fit counts the items anew, so that these columns differ between any two
periods, and the users of a period are not independent witnesses of it."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """What was shown from one second on (`since`) and before another (`until`), UTC."""

    since: int
    until: int
    sample: Sample


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two periods of one kind.

    Attributes:
        source: LOG or EXAMINED.
        reference: the earlier period.
        window: the later, which follows directly on it.
        periods: rows by the first second of their period, for a plot over time; more and shorter ones where there are.
    """

    source: str
    reference: Period
    window: Period
    periods: Mapping[int, Sample]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The window beside the reference, and effect sizes of all periods.

    Attributes:
        drift: the report on the window.
        periods: period (its first second, UTC), column, n_clusters, psi, window_missing_share.
        compared: DRIFT_COMPARED: a row for the reference and one for the window: side, source, since, until.
    """

    drift: DriftReport
    periods: pl.DataFrame
    compared: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write all tables."""
        self.drift.save(folder)
        write_table(self.periods, folder / "periods.parquet")
        write_table(self.compared, folder / "compared.parquet")

    @classmethod
    def load(cls, folder: Path) -> "Watch":
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is absent or damaged.
        """
        return cls(
            drift=DriftReport.load(folder),
            periods=read_table(folder / "periods.parquet"),
            compared=read_table(folder / "compared.parquet"),
        )

    @property
    def source(self) -> str:
        """LOG or EXAMINED."""
        return str(self.compared["source"][0])

    def verdict(self) -> str:
        """What the report says, and of which days."""
        days = [_days(since, until) for since, until in self.compared.select("since", "until").iter_rows()]
        return f"{self.drift.verdict()}; {self.source}, {days[1]} beside {days[0]}"

    def headline(self) -> dict[str, JsonValue]:
        """The figures worth following from report to report."""
        return {"source": self.source, **self.drift.headline()}


def watch(logged: Served, examples: RankingExamples, examined: Callable[[str], Ranker], config: DriftConfig) -> Watch:
    """Compare the latest period of the event log with the one before it, or else the last two examined windows.

    Args:
        logged: requests of the event log, of any release: whatever release answers, it is the features that may drift.
            Slots that read another version of the features than this code computes are left out.
        examples: the rows of all windows.
        examined: window -> the ranker that it examines.
        config: length of window and periods, and how many users are enough.
    """
    of_log = log_comparison(logged.of_feature_set(feature_set_version()), config)
    compared = window_comparison(examples, examined, config) if of_log is None else of_log
    reference = make_reference(compared.reference.sample, config)
    sides = {"reference": compared.reference, "window": compared.window}
    rows = [(side, compared.source, period.since, period.until) for side, period in sides.items()]
    return Watch(
        drift=drift_report(reference, compared.window.sample, config, SHARED),
        periods=stability_over_time(reference, compared.periods, config),
        compared=DRIFT_COMPARED.validate(pl.DataFrame(rows, schema=list(DRIFT_COMPARED.columns), orient="row")),
    )


def log_comparison(logged: Served, config: DriftConfig) -> Comparison | None:
    """The last `window_days` of the log beside as many days before them; None where either has too few users.

    Days are whole ones, UTC.
    """
    if logged.requests.is_empty():
        return None
    length = config.window_days * DAY_S
    until = (logged.last_asked_at // DAY_S + 1) * DAY_S
    since = until - length
    reference, window = logged.between(since - length, since), logged.between(since, until)
    if min(reference.n_users, window.n_users) < config.min_clusters:
        return None
    step = config.period_days * DAY_S
    starts = logged.impressions.select(asked_at() // step * step).to_series().unique().sort().to_list()
    return Comparison(
        source=LOG,
        reference=Period(since=since - length, until=since, sample=reference.sample()),
        window=Period(since=since, until=until, sample=window.sample()),
        periods={start: logged.between(start, start + step).sample() for start in starts},
    )


def window_comparison(examples: RankingExamples, examined: Callable[[str], Ranker], config: DriftConfig) -> Comparison:
    """The last examined window beside the one before it: about as many ratings, and rankers of one kind.

    Each is answered by the ranker that it examines.
    """
    samples = {window: examined_sample(examined(window), examples, window, config.n_slots) for window in examples.exams}
    reference, window = (
        Period(since=examples.start_of(name), until=examples.end_of(name), sample=samples[name])
        for name in examples.exams[-2:]
    )
    return Comparison(
        source=EXAMINED,
        reference=reference,
        window=window,
        periods={examples.start_of(name): sample for name, sample in samples.items() if len(sample.values)},
    )


def _days(since: int, until: int) -> str:
    """The first and the last day, UTC."""
    first, last = map(day_of, (since, until - 1))
    return f"{first} to {last}"
