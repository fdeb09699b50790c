"""Drift of the shown slots since an earlier period: a report per window, and a curve over many windows.

An alarm needs `p_holm` at most alpha: beyond chance, with all columns taken together. The stability index measures the
size of a shift and raises no alarm, because chance alone moves it more the fewer clusters there are.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import JsonValue

from recsys_core.errors import SettingsError
from recsys_core.monitoring.clustered_sample import ClusteredSample
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.reference import Reference
from recsys_core.monitoring.schemas import DRIFT_ABOUT, DRIFT_COLUMNS, DRIFT_PERIODS
from recsys_core.monitoring.two_sample_tests import (
    Shares,
    cluster_shares,
    coarsened,
    gap_p_values,
    holm,
    largest_gap,
    stability_index,
)
from recsys_core.seeding import child
from recsys_core.tables import load_tables, save_tables

COLUMNS_SCHEMA = pl.Schema(
    {
        "column": pl.String,
        "ks": pl.Float64,
        "p_value": pl.Float64,
        "p_holm": pl.Float64,
        "is_drift": pl.Boolean,
        "psi": pl.Float64,
        "reference_missing_share": pl.Float64,
        "window_missing_share": pl.Float64,
    }
)

PERIODS_SCHEMA = pl.Schema(
    {
        "period": pl.Int64,
        "column": pl.String,
        "n_clusters": pl.Int64,
        "psi": pl.Float64,
        "window_missing_share": pl.Float64,
    }
)


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """One window compared with the reference.

    Attributes:
        columns: COLUMNS_SCHEMA, a row per column in the order of the reference. Where a column was not judged, p-values
            and `is_drift` are null, which is not false. Where a side is empty, only the other side's missing share is
            known.
        about: one row: is_judged, n_reference_clusters, n_window_clusters (compared), n_window_clusters_seen (before
            sampling), min_clusters, n_permutations, alpha.
    """

    columns: pl.DataFrame
    about: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write one Parquet file per table."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "DriftReport":
        """Read both tables."""
        return load_tables(cls, folder)

    @property
    def is_judged(self) -> bool:
        """Whether both sides held enough clusters for a verdict."""
        return bool(self.about["is_judged"][0])

    def drifted(self) -> list[str]:
        """The columns that drifted, largest gap first. Empty where nothing was judged: check `is_judged` first."""
        return self.columns.filter("is_drift").sort("ks", descending=True)["column"].to_list()

    def verdict(self) -> str:
        """One sentence, which says "not judged" instead of "no drift" where there were too few clusters."""
        about, drifted = self.about.row(0, named=True), self.drifted()
        judged = self.columns["is_drift"].drop_nulls().len()
        compared = f"{about['n_window_clusters']} clusters beside {about['n_reference_clusters']} of the reference"
        if not self.is_judged:
            return f"not judged: {compared}, at least {about['min_clusters']} on either side are needed"
        if not drifted:
            return f"no drift beyond chance in {judged} columns: {compared}"
        return f"drift in {len(drifted)} of {judged} columns ({', '.join(drifted)}): {compared}"

    def headline(self) -> dict[str, JsonValue]:
        """The figures to follow from window to window; null where there is none."""
        return {
            "is_judged": self.is_judged,
            "n_window_clusters": self.about["n_window_clusters"][0],
            "n_drifted": len(self.drifted()) if self.is_judged else None,
            "least_p_holm": _json(self.columns["p_holm"].min()),
            "largest_ks": _json(self.columns["ks"].max()),
            "largest_psi": _json(self.columns["psi"].max()),
        }


def drift_report(
    reference: Reference, window: ClusteredSample, config: DriftConfig, shared: Collection[str] = ()
) -> DriftReport:
    """Compare the rows of a window with the reference.

    Both should span periods of equal length: a week includes more infrequent users than a day does, which is itself a
    difference. The order of rows and the numbers of clusters change nothing, unless some clusters must be left out.

    Args:
        reference: the earlier period.
        window: the later period.
        config: when to judge, and the level of an alarm.
        shared: columns that get effect sizes and no verdict, because all users of a side read the same values.

    Raises:
        DataError: the window has other columns than the reference.
        SettingsError: there are too few permutations for any of these columns to be called drifted.
    """
    own = np.array([name not in shared for name in reference.names])
    _require_reach(int(own.sum()), config)
    sampled = window.at_most(config.max_clusters, child(config.seed, "monitoring", "window"))
    before, now = cluster_shares(reference.counts), cluster_shares(reference.counts_of(sampled))
    is_judged = min(len(before), len(now)) >= config.min_clusters
    columns = _effect_sizes(reference.names, before, now, config.n_psi_bins)
    if is_judged:
        rng = child(config.seed, "monitoring", "dealings")
        p_values = gap_p_values(before[:, own], now[:, own], rng, config.n_permutations)
        corrected = holm(p_values)
        found = {"p_value": p_values, "p_holm": corrected, "is_drift": corrected <= config.alpha}
        columns |= {name: _where(own, values) for name, values in found.items()}
    about = {
        "is_judged": is_judged,
        "n_reference_clusters": len(before),
        "n_window_clusters": len(now),
        "n_window_clusters_seen": window.n_clusters,
        "min_clusters": config.min_clusters,
        "n_permutations": config.n_permutations,
        "alpha": config.alpha,
    }
    blank = {name: None for name in COLUMNS_SCHEMA if name not in columns}
    made = pl.DataFrame(columns | blank, schema_overrides=COLUMNS_SCHEMA).select(*COLUMNS_SCHEMA)
    return DriftReport(columns=DRIFT_COLUMNS.validate(made), about=DRIFT_ABOUT.validate(pl.DataFrame(about)))


def stability_over_time(
    reference: Reference, periods: Mapping[int, ClusteredSample], config: DriftConfig
) -> pl.DataFrame:
    """Effect sizes of many windows, for a plot: period, column, n_clusters, psi, window_missing_share.

    There are no p-values: testing many periods at once would raise false alarms that no correction accounts for. A high
    index alone is no sign of drift: the fewer the clusters, the higher it is by chance.

    Args:
        reference: the earlier period that all windows are compared with.
        periods: rows by the number of their period.
        config: for the bins and the most clusters of a period.

    Raises:
        DataError: as `drift_report`.
    """
    before = cluster_shares(reference.counts)
    tables = [PERIODS_SCHEMA.to_frame()]
    for period, window in sorted(periods.items()):
        sampled = window.at_most(config.max_clusters, child(config.seed, "monitoring", "period", str(period)))
        now = cluster_shares(reference.counts_of(sampled))
        blank = dict.fromkeys(PERIODS_SCHEMA)
        sizes = blank | _effect_sizes(reference.names, before, now, config.n_psi_bins)
        of_period = sizes | {"period": period, "n_clusters": len(now)}
        tables.append(pl.DataFrame({name: of_period[name] for name in PERIODS_SCHEMA}, schema=PERIODS_SCHEMA))
    return DRIFT_PERIODS.validate(pl.concat(tables))


def _effect_sizes(names: tuple[str, ...], before: Shares, now: Shares, n_psi_bins: int) -> dict[str, object]:
    """The columns of COLUMNS_SCHEMA that need no permutations."""
    sizes: dict[str, object] = {"column": names}
    for side, shares in (("reference", before), ("window", now)):
        if len(shares):
            sizes[f"{side}_missing_share"] = shares[:, :, -1].mean(axis=0)
    if not (len(before) and len(now)):
        return sizes
    reference, window = before.mean(axis=0), now.mean(axis=0)  # (n_columns, n_bins)
    grouped, expected = (coarsened(shares, reference, n_psi_bins) for shares in (window, reference))
    half_a_cluster = 0.5 / min(len(before), len(now))
    return sizes | {
        "ks": largest_gap(reference, window),
        "psi": stability_index(expected, grouped, half_a_cluster),
    }


def _where(own: npt.NDArray[np.bool_], values: npt.NDArray[Any]) -> list[Any]:
    """The values at the marked places, null at the others."""
    left = iter(values.tolist())
    return [next(left) if is_own else None for is_own in own.tolist()]


def _require_reach(n_columns: int, config: DriftConfig) -> None:
    if n_columns > config.alpha * (1 + config.n_permutations):
        raise SettingsError(
            f"{config.n_permutations} permutations give p-values of 1 / {config.n_permutations + 1} at least, and Holm "
            f"over {n_columns} columns asks for {config.alpha} / {n_columns}: raise n_permutations to "
            f"{math.ceil(n_columns / config.alpha)}"
        )


def _json(figure: object) -> JsonValue:
    """An aggregate of a column, which polars types as any number, date or text."""
    return float(figure) if isinstance(figure, int | float) else None
