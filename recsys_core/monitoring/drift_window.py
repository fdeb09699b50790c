"""Choose the two periods that a drift report compares, and report on them and on the development over time.

Both periods are of one kind. Two periods of the event log are compared where both hold enough users; otherwise the last
two evaluation windows are, each answered by the ranker that was fitted before it. A model's own training data is no
reference for the requests that it answers: the serving model has been refitted on nearly all requests that one could
compare.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import JsonValue

from recsys_core.days import DAY_S, day_of
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version, names_of
from recsys_core.monitoring.clustered_sample import ClusteredSample, scored_sample
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.drift import DriftReport, drift_report, stability_over_time
from recsys_core.monitoring.reference import make_reference
from recsys_core.monitoring.schemas import DRIFT_COMPARED
from recsys_core.monitoring.served import Served, asked_at
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.training_rows import RankingExamples
from recsys_core.tables import read_table, write_table

EVENT_LOG, EVALUATION_WINDOWS = "event log", "examined windows"

SHARED = (*names_of("item"), "pair_trend_score")
"""Columns that hold one value per item for all users of a fit, or nearly so: a trend score depends on its user only
through the time of the latest rating. Each fit recounts the items, so these columns differ between any two periods, and
the users of a period are not independent observations of that difference."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """The slots shown from one second on (`since`) and before another (`until`), UTC."""

    since: int
    until: int
    sample: ClusteredSample


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two periods of one kind.

    Attributes:
        source: EVENT_LOG or EVALUATION_WINDOWS.
        reference: the earlier period.
        window: the later one, which directly follows.
        periods: rows by the first second of their period, for a plot over time. These periods may be shorter and more
            numerous than the two that are compared.
    """

    source: str
    reference: Period
    window: Period
    periods: Mapping[int, ClusteredSample]


@dataclass(frozen=True, kw_only=True)
class WindowDrift:
    """The window compared with the reference, and effect sizes of all periods.

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
    def load(cls, folder: Path) -> "WindowDrift":
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
        """EVENT_LOG or EVALUATION_WINDOWS."""
        return str(self.compared["source"][0])

    def verdict(self) -> str:
        """The verdict of the report, its source and the days that it compares."""
        days = [_days(since, until) for since, until in self.compared.select("since", "until").iter_rows()]
        return f"{self.drift.verdict()}; {self.source}, {days[1]} beside {days[0]}"

    def headline(self) -> dict[str, JsonValue]:
        """The figures worth following from report to report."""
        return {"source": self.source, **self.drift.headline()}


def window_drift(
    logged: Served, examples: RankingExamples, ranker_of: Callable[[str], Ranker], config: DriftConfig
) -> WindowDrift:
    """Compare the latest period of the event log with the one before it, or else the last two evaluation windows.

    Args:
        logged: requests of the event log, of any release: features may drift whichever release answers. Slots that read
            another version of the features than this code computes are left out.
        examples: the rows of all windows.
        ranker_of: window -> the ranker that was fitted before it.
        config: length of window and periods, and how many users are enough.
    """
    of_log = log_comparison(logged.of_feature_set(feature_set_version()), config)
    compared = window_comparison(examples, ranker_of, config) if of_log is None else of_log
    reference = make_reference(compared.reference.sample, config)
    sides = {"reference": compared.reference, "window": compared.window}
    rows = [(side, compared.source, period.since, period.until) for side, period in sides.items()]
    return WindowDrift(
        drift=drift_report(reference, compared.window.sample, config, SHARED),
        periods=stability_over_time(reference, compared.periods, config),
        compared=DRIFT_COMPARED.validate(pl.DataFrame(rows, schema=list(DRIFT_COMPARED.columns), orient="row")),
    )


def log_comparison(logged: Served, config: DriftConfig) -> Comparison | None:
    """The last `window_days` of the log and as many days before them; None where either side has too few users.

    Days are whole days, UTC.
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
        source=EVENT_LOG,
        reference=Period(since=since - length, until=since, sample=reference.sample()),
        window=Period(since=since, until=until, sample=window.sample()),
        periods={start: logged.between(start, start + step).sample() for start in starts},
    )


def window_comparison(examples: RankingExamples, ranker_of: Callable[[str], Ranker], config: DriftConfig) -> Comparison:
    """The last evaluation window and the one before it: about equally many ratings, and rankers of one kind.

    Each window is answered by the ranker that was fitted before it.
    """
    samples = {
        window: evaluation_sample(ranker_of(window), examples, window, config.n_slots)
        for window in examples.evaluation_windows
    }
    reference, window = (
        Period(since=examples.start_of(name), until=examples.end_of(name), sample=samples[name])
        for name in examples.evaluation_windows[-2:]
    )
    return Comparison(
        source=EVALUATION_WINDOWS,
        reference=reference,
        window=window,
        periods={examples.start_of(name): sample for name, sample in samples.items() if len(sample.values)},
    )


def evaluation_sample(ranker: Ranker, examples: RankingExamples, window: str, k: int) -> ClusteredSample:
    """The first k places of each request of a window; a cluster is a user. Empty where the window asked no user.

    Args:
        ranker: the one that was fitted before the window. A ranker that has learned from these rows gives them more
            extreme scores than it gives to new ones.
        examples: the training rows of all windows.
        window: the window whose requests are answered.
        k: places of a list.
    """
    rows = examples.of_window(window)
    if rows.is_empty():
        scored = rows.with_columns(score=pl.lit(None, pl.Float32))
    else:
        scored = rows.with_columns(score=ranker.score(rows.select(FEATURE_NAMES).to_numpy()))
    slots = (
        scored.sort("user_id", "score", descending=[False, True], maintain_order=True)
        .group_by("user_id", maintain_order=True)
        .head(k)
    )
    return scored_sample(
        slots.select(FEATURE_NAMES).to_numpy(), slots["score"].to_numpy(), slots["user_id"].cast(pl.Int64).to_numpy()
    )


def _days(since: int, until: int) -> str:
    """The first and the last day, UTC."""
    first, last = map(day_of, (since, until - 1))
    return f"{first} to {last}"
