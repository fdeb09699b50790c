"""The report: right by hand, quiet without drift, loud with it, and honest where it cannot know."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, ks_2samp

from recsys_core.errors import DataError, SettingsError
from recsys_core.monitoring.clustered_sample import ClusteredSample
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.drift import COLUMNS_SCHEMA, PERIODS_SCHEMA, DriftReport, drift_report, stability_over_time
from recsys_core.monitoring.reference import make_reference
from recsys_core.monitoring.two_sample_tests import holm
from tests.core.monitoring.clustered import clustered, rows_of

QUICK = DriftConfig(n_permutations=400, min_clusters=10)
SEEDS = st.integers(0, 2**32 - 1)

N_RUNS, ALPHA = 200, 0.05
MOST_ALARMS = int(binom.ppf(0.999, N_RUNS, ALPHA))
"""20 of 200: a report whose true rate of false alarms is 5 % passes this in one trial of a thousand."""


def report_on(before: ClusteredSample, now: ClusteredSample, config: DriftConfig = QUICK) -> DriftReport:
    return drift_report(make_reference(before, config), now, config)


def reordered(sample: ClusteredSample, rng: np.random.Generator) -> ClusteredSample:
    """The same rows in another order, their clusters by other numbers."""
    order, numbers = rng.permutation(len(sample.values)), rng.permutation(10_000)
    return ClusteredSample(
        names=sample.names, values=sample.values[order], clusters=numbers[sample.clusters[order]].astype(np.int64)
    )


def with_column(sample: ClusteredSample, column: int, values: np.ndarray | float) -> ClusteredSample:
    changed = sample.values.copy()
    changed[:, column] = values
    return ClusteredSample(names=sample.names, values=changed, clusters=sample.clusters)


def test_effect_sizes_by_hand() -> None:
    """Twenty clusters of one row at each of 0 and 1; then a quarter at 0, half at 1, a quarter missing."""
    report = report_on(rows_of([0.0] * 20 + [1.0] * 20), rows_of([0.0] * 10 + [1.0] * 20 + [math.nan] * 10))
    (row,) = report.columns.to_dicts()
    assert row["ks"] == pytest.approx(0.25)
    assert (row["reference_missing_share"], row["window_missing_share"]) == (0, 0.25)
    least = 0.5 / 40
    assert row["psi"] == pytest.approx(0.25 * math.log(2) + (0.25 - least) * math.log(0.25 / least))


def test_the_share_of_a_cluster_is_one_vote() -> None:
    """One cluster of a thousand ones among nine of a single zero: a tenth, not 99 %."""
    before = rows_of([0.0] * 10 + [1.0] * 10)
    now = rows_of([0.0] * 9 + [1.0] * 1000, clusters=[*range(9), *[9] * 1000])
    assert report_on(before, now).columns["ks"].item() == pytest.approx(0.4)


def test_one_cluster_of_thousands_of_rows_raises_no_alarm() -> None:
    rng = np.random.default_rng(0)
    before, now = clustered(rng, 200), clustered(rng, 100)
    crowd = now.of_rows(now.clusters == now.clusters[0])
    swamped = ClusteredSample(
        names=now.names,
        values=np.concatenate([now.values, np.tile(crowd.values, (1000, 1))]),
        clusters=np.concatenate([now.clusters, np.repeat(crowd.clusters, 1000)]),
    )
    assert report_on(before, swamped).drifted() == []
    for size in ("ks", "psi"):
        assert report_on(before, swamped).columns[size].to_list() == pytest.approx(report_on(before, now).columns[size])


@settings(max_examples=15)
@given(SEEDS)
def test_neither_the_order_of_rows_nor_the_numbers_of_clusters_change_anything(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, now = clustered(rng, 30, n_rows=3, n_columns=4), clustered(rng, 20, n_rows=3, n_columns=4)
    again = report_on(reordered(before, rng), reordered(now, rng))
    assert again.columns.equals(report_on(before, now).columns)


@settings(max_examples=15)
@given(SEEDS)
def test_a_window_equal_to_the_reference_has_no_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = clustered(rng, 25, n_rows=3, n_columns=5)
    columns = report_on(before, reordered(before, rng)).columns
    assert columns["ks"].to_list() == [0.0] * 5
    assert columns["psi"].to_list() == [0.0] * 5
    assert columns["p_value"].to_list() == [1.0] * 5
    assert not columns["is_drift"].any()


def test_an_alarm_is_a_corrected_p_value_of_at_most_alpha() -> None:
    rng = np.random.default_rng(2)
    report = report_on(clustered(rng, 200), clustered(rng, 200, shift=1))
    p_values = report.columns["p_value"].to_numpy()
    assert report.columns["p_holm"].to_numpy() == pytest.approx(holm(p_values))
    assert report.columns["is_drift"].to_list() == (report.columns["p_holm"] <= QUICK.alpha).to_list()
    assert report.drifted() == ["c0"]
    assert "drift in 1 of 8 columns (c0): 200 clusters beside 200" in report.verdict()


def test_columns_without_values_or_without_variety_are_no_drift_while_they_stay_so() -> None:
    rng = np.random.default_rng(3)
    before, now = clustered(rng, 60), clustered(rng, 60)
    before, now = (with_column(with_column(sample, 1, np.nan), 2, 7) for sample in (before, now))
    columns = report_on(before, now).columns[1:3]
    assert columns["ks"].to_list() == [0, 0]
    assert columns["p_value"].to_list() == [1, 1]
    assert columns["window_missing_share"].to_list() == [1, 0]


@pytest.mark.parametrize(("before", "now"), [(np.nan, 3.0), (7.0, np.nan), (7.0, 6.9), (7.0, 7.1), (0.0, -1.0)])
def test_columns_without_values_or_without_variety_alarm_when_that_changes(before: float, now: float) -> None:
    rng = np.random.default_rng(4)
    one, other = clustered(rng, 60), clustered(rng, 60)
    report = report_on(with_column(one, 1, before), with_column(other, 1, now))
    assert report.drifted() == ["c1"]
    assert report.columns["ks"][1] == 1


@pytest.mark.parametrize(("n_before", "n_now"), [(9, 50), (50, 9), (50, 0), (0, 50), (0, 0)])
def test_too_few_clusters_are_not_judged_and_it_says_so(n_before: int, n_now: int) -> None:
    rng = np.random.default_rng(5)
    report = report_on(clustered(rng, n_before), clustered(rng, n_now, shift=100))
    assert not report.is_judged
    assert report.drifted() == []
    assert report.columns["is_drift"].is_null().all(), "null, for false would say that there is no drift"
    assert report.columns["p_holm"].is_null().all()
    assert report.verdict().startswith(f"not judged: {n_now} clusters beside {n_before} of the reference, at least 10")
    assert report.headline()["n_drifted"] is None
    assert report.columns.schema == COLUMNS_SCHEMA


def test_where_a_side_is_empty_there_are_no_effect_sizes_either() -> None:
    some, none = clustered(np.random.default_rng(6), 50), clustered(np.random.default_rng(6), 0)
    for before, now, empty in ((some, none, "window"), (none, some, "reference")):
        report = report_on(before, now)
        assert report.columns.select("ks", "psi", f"{empty}_missing_share").null_count().row(0) == (8, 8, 8)
        assert report.columns.select(pl.col("^.*_missing_share$")).null_count().sum_horizontal().item() == 8
        assert report.headline()["largest_ks"] is None


def test_permutations_that_cannot_reach_alpha_are_refused() -> None:
    rng = np.random.default_rng(7)
    before, now = clustered(rng, 20, n_columns=35), clustered(rng, 20, n_columns=35)
    with pytest.raises(SettingsError, match="raise n_permutations to 700"):
        report_on(before, now, DriftConfig(n_permutations=600, min_clusters=10))
    reachable = DriftConfig(n_permutations=699, min_clusters=10)
    assert report_on(before, with_column(now, 0, 99), reachable).drifted() == ["c0"]


def test_a_shared_column_has_its_effect_size_and_no_verdict() -> None:
    """Nor does it count among the columns that Holm corrects for."""
    rng = np.random.default_rng(16)
    before, now = clustered(rng, 60), with_column(with_column(clustered(rng, 60), 0, 99), 3, 99)
    reference = make_reference(before, QUICK)
    every, some = drift_report(reference, now, QUICK), drift_report(reference, now, QUICK, ["c0", "c1"])
    assert (sorted(every.drifted()), some.drifted()) == (["c0", "c3"], ["c3"])
    assert some.columns.select("ks", "psi").equals(every.columns.select("ks", "psi"))
    assert some.columns["is_drift"].is_null().to_list() == [True] * 2 + [False] * 6
    p_values = some.columns["p_value"].drop_nulls().to_numpy()
    assert some.columns["p_holm"].drop_nulls().to_numpy() == pytest.approx(holm(p_values))
    assert some.verdict().startswith("drift in 1 of 6 columns (c3)")


def test_other_columns_are_refused() -> None:
    before, now = clustered(np.random.default_rng(8), 20, n_columns=4), clustered(np.random.default_rng(8), 20)
    with pytest.raises(DataError, match="different columns"):
        report_on(before, now)


def test_of_a_large_window_a_part_is_looked_at_and_it_says_so() -> None:
    rng = np.random.default_rng(9)
    before, now = clustered(rng, 60, n_rows=2), clustered(rng, 300, n_rows=2)
    report = report_on(before, now, DriftConfig(n_permutations=400, max_clusters=100))
    assert report.about.select("n_window_clusters", "n_window_clusters_seen").row(0) == (100, 300)
    assert report.headline()["n_window_clusters"] == 100


def test_a_report_comes_back_as_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    for name, n_now in (("judged", 40), ("not judged", 4)):
        report = report_on(clustered(rng, 40), clustered(rng, n_now))
        (tmp_path / name).mkdir()
        report.save(tmp_path / name)
        back = DriftReport.load(tmp_path / name)
        assert back.columns.equals(report.columns)
        assert back.about.equals(report.about)
        assert back.verdict() == report.verdict()


def test_the_same_rows_give_the_same_report_and_another_seed_another_p_value() -> None:
    rng = np.random.default_rng(11)
    before, now = clustered(rng, 60), clustered(rng, 60)
    first = report_on(before, now).columns
    assert report_on(before, now).columns.equals(first)
    other = report_on(before, now, QUICK.model_copy(update={"seed": 18})).columns
    assert other["ks"].equals(first["ks"])
    assert not other["p_value"].equals(first["p_value"])


def test_many_windows_have_the_effect_sizes_that_each_has_alone() -> None:
    rng = np.random.default_rng(12)
    reference = make_reference(clustered(rng, 80), QUICK)
    days = [clustered(rng, 40 + day, shift=day / 2) for day in range(3)]
    curve = stability_over_time(reference, {7: days[2], 5: days[1], 2: days[0]}, QUICK)
    assert curve.schema == PERIODS_SCHEMA
    assert curve["period"].unique(maintain_order=True).to_list() == [2, 5, 7]
    for period, day in zip((2, 5, 7), days, strict=True):
        alone, among = drift_report(reference, day, QUICK).columns, curve.filter(period=period)
        assert among["n_clusters"].unique().to_list() == [day.n_clusters]
        assert among.select("column", "psi", "window_missing_share").equals(
            alone.select("column", "psi", "window_missing_share")
        )
    moved = curve.filter(column="c0")["psi"].to_list()
    assert moved == sorted(moved)


def test_a_period_without_rows_is_there_and_has_no_effect_size() -> None:
    rng = np.random.default_rng(15)
    curve = stability_over_time(make_reference(clustered(rng, 20), QUICK), {3: clustered(rng, 0)}, QUICK)
    assert curve.schema == PERIODS_SCHEMA
    assert curve.select(pl.col("n_clusters").unique(), pl.col("psi").null_count()).row(0) == (0, 8)


def test_no_window_gives_an_empty_curve() -> None:
    reference = make_reference(clustered(np.random.default_rng(13), 20), QUICK)
    assert stability_over_time(reference, {}, QUICK).equals(PERIODS_SCHEMA.to_frame())


def row_level_alarm(before: ClusteredSample, now: ClusteredSample) -> bool:
    """What the usual test does: every row a case of its own, Holm over the columns."""
    p_values = [
        ks_2samp(one[~np.isnan(one)], other[~np.isnan(other)], method="asymp").pvalue
        for one, other in zip(before.values.T, now.values.T, strict=True)
    ]
    return bool((holm(np.array(p_values)) <= ALPHA).any())


@pytest.mark.slow
@pytest.mark.parametrize(("n_before", "n_now"), [(300, 100), (50, 100), (20, 20)])
def test_false_alarms_stay_at_alpha_where_rows_hang_together(n_before: int, n_now: int) -> None:
    """200 windows without drift; the usual test on rows must fail the same trial."""
    ours = rows = 0
    for run in range(N_RUNS):
        rng = np.random.default_rng([n_before, n_now, run])
        before, now = clustered(rng, n_before), clustered(rng, n_now)
        ours += bool(report_on(before, now).drifted())
        rows += row_level_alarm(before, now)
    assert ours <= MOST_ALARMS
    assert rows > MOST_ALARMS


@pytest.mark.slow
def test_the_days_of_one_user_are_no_clusters_of_their_own() -> None:
    """40 people come on each of seven days, then 100 others on one: users keep to alpha, user-days must not."""
    by_user = by_day = 0
    for run in range(N_RUNS):
        rng = np.random.default_rng([40, run])
        week, day = clustered(rng, 40, n_rows=7), clustered(rng, 100, n_rows=1)
        days_apart = ClusteredSample(names=week.names, values=week.values, clusters=np.arange(len(week.values)))
        by_user += bool(report_on(week, day).drifted())
        by_day += bool(report_on(days_apart, day).drifted())
    assert by_user <= MOST_ALARMS
    assert by_day > MOST_ALARMS


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda values, rng: values + 0.4 * np.array([1, *[0] * 7]),
        lambda values, rng: values * np.array([1, 60, *[1] * 6]),
        lambda values, rng: np.where((rng.random(len(values)) < 0.2)[:, None] & (np.arange(8) == 2), np.nan, values),
        lambda values, rng: np.where((np.arange(len(values)) // 10 % 5 == 0)[:, None] & (np.arange(8) == 3), 0, values),
    ],
    ids=["0.4 standard deviations", "another unit", "20 % of rows missing", "0 for 20 % of the clusters"],
)
def test_declared_shifts_are_found_in_400_clusters(change: object) -> None:
    found = 0
    for run in range(20):
        rng = np.random.default_rng(run)
        before, now = clustered(rng, 300), clustered(rng, 400)
        moved = ClusteredSample(
            names=now.names, values=change(now.values, rng).astype(np.float32), clusters=now.clusters
        )
        found += bool(report_on(before, moved).drifted())
    assert found >= 19


def test_the_tables_of_a_report_are_of_one_form() -> None:
    rng = np.random.default_rng(14)
    report = report_on(clustered(rng, 20), clustered(rng, 20))
    assert report.columns.schema == COLUMNS_SCHEMA
    assert report.columns["column"].to_list() == [f"c{column}" for column in range(8)]
    assert report.about.schema["is_judged"] == pl.Boolean
