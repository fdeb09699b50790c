"""Which two periods are compared, that they are of one kind, and how shares developed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST
from recsys_core.errors import ArtifactError
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE, pack_features
from recsys_core.feedback.values import FRESH
from recsys_core.monitoring.clustered_sample import SCORE
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.drift import drift_report
from recsys_core.monitoring.drift_window import (
    EVALUATION_WINDOWS,
    EVENT_LOG,
    SHARED,
    WindowDrift,
    evaluation_sample,
    window_drift,
)
from recsys_core.monitoring.parity import COLUMNS
from recsys_core.monitoring.reference import make_reference
from recsys_core.monitoring.served import Served
from recsys_core.ranking.ranker import Ranker
from tests.core.feedback.rows import impression, request
from tests.core.worlds import N_CANDIDATES, TinyRun

DAY, D = 86_400, len(FEATURE_NAMES)
EPOCH = 17_360 * DAY
"""A second at which a period of seven days begins."""

QUICK = DriftConfig(window_days=7, period_days=7, n_permutations=800, min_clusters=5)


def served_on(days: list[int], *, first_user: int = 0, shift: float = 0.0, feature_set: str | None = None) -> Served:
    """A request of a user of its own on each of some days, with one slot; features are drawn from the user's number."""
    asked, shown = [], []
    for number, day in enumerate(days, start=first_user):
        second = EPOCH + day * DAY
        name, at = f"r{number}", {"requested_at": second, "served_at": second * 1_000_000, "user_id": number}
        values = np.random.default_rng(number).normal(size=D).astype(np.float32) + np.float32(shift)
        asked.append(request(request_id=name, **at))
        shown.append(
            impression(
                request_id=name,
                features=pack_features(values),
                feature_states=bytes([FRESH] * D),
                feature_set=feature_set or feature_set_version(),
                **at,
            )
        )
    return Served(requests=REQUESTS_TABLE.frame(asked), impressions=IMPRESSIONS_TABLE.frame(shown))


def watched(tiny: TinyRun, logged: Served, config: DriftConfig = QUICK) -> WindowDrift:
    return window_drift(logged, tiny.examples, tiny.window_rankers.__getitem__, config)


def about(made: WindowDrift) -> dict[str, int]:
    found: dict[str, int] = made.drift.about.row(0, named=True)
    return found


def test_the_log_is_compared_once_enough_users_are_in_its_last_days_and_in_as_many_before(tiny: TinyRun) -> None:
    for n_before, n_now, source in (
        (5, 5, EVENT_LOG),
        (4, 9, EVALUATION_WINDOWS),
        (9, 4, EVALUATION_WINDOWS),
        (6, 7, EVENT_LOG),
    ):
        made = watched(tiny, served_on([3] * n_before + [10] * n_now))
        assert made.source == source
        assert made.headline()["source"] == source
        if source == EVENT_LOG:
            assert (about(made)["n_reference_clusters"], about(made)["n_window_clusters"]) == (n_before, n_now)


def test_the_reference_is_as_long_as_the_window_and_ends_where_it_begins(tiny: TinyRun) -> None:
    """The latest request is of day 20: the week that ends with it, and the week before."""
    days = [0, 1, 5, 6, 7, 7, 8, 13, 13, 14, 14, 15, 19, 20]
    made = watched(tiny, served_on(days))
    assert made.compared.rows() == [
        ("reference", EVENT_LOG, EPOCH + 7 * DAY, EPOCH + 14 * DAY),
        ("window", EVENT_LOG, EPOCH + 14 * DAY, EPOCH + 21 * DAY),
    ]
    assert about(made)["n_reference_clusters"] == 5, "days 7, 7, 8, 13 and 13"
    assert about(made)["n_window_clusters_seen"] == 5, "days 14, 14, 15, 19 and 20"


def test_periods_go_back_to_the_first_request(tiny: TinyRun) -> None:
    """Weeks since 1970, named by their first second."""
    days = [0, 1, 6, 7, 7, 8, 13, 13, 14, 14, 15, 19, 20]
    made = watched(tiny, served_on(days))
    assert made.periods.schema.names() == ["period", "column", "n_clusters", "psi", "window_missing_share"]
    found = made.periods.group_by("period", maintain_order=True).agg(pl.col("n_clusters").unique(), pl.len())
    assert found.rows() == [(EPOCH + week * 7 * DAY, [n], D + 1) for week, n in ((0, 3), (1, 5), (2, 5))]


def test_one_who_asks_often_is_one_user(tiny: TinyRun) -> None:
    once = served_on([3] * 4 + [10] * 4)
    often = Served(
        requests=pl.concat([once.requests.with_columns(pl.col("request_id") + f"-{n}") for n in range(9)]),
        impressions=pl.concat([once.impressions.with_columns(pl.col("request_id") + f"-{n}") for n in range(9)]),
    )
    assert watched(tiny, often).source == EVALUATION_WINDOWS


def test_without_a_log_the_last_two_examined_windows_are_compared(tiny: TinyRun) -> None:
    made, (before, last) = watched(tiny, served_on([])), tiny.splits.evaluation_windows[-2:]
    assert made.drift.is_judged
    assert made.compared.rows() == [
        ("reference", EVALUATION_WINDOWS, tiny.splits.start_of(before), tiny.splits.start_of(last)),
        ("window", EVALUATION_WINDOWS, tiny.splits.start_of(last), tiny.splits.last_until),
    ]
    for window, n_users in ((before, "n_reference_clusters"), (last, "n_window_clusters")):
        asked = {user for name in tiny.splits.slices_of(window) for user in tiny.splits.users_of(name).tolist()}
        assert about(made)[n_users] == len(asked)


def test_each_examined_window_is_shown_by_the_ranker_that_had_not_seen_it(tiny: TinyRun) -> None:
    """The share of the windows is that of their own rankers: those that serve would give other lists."""
    asked_of = []

    def window_rankers(window: str) -> Ranker:
        asked_of.append(window)
        return tiny.window_rankers[window]

    made = window_drift(served_on([]), tiny.examples, window_rankers, QUICK)
    assert asked_of == tiny.splits.evaluation_windows
    before, now = (
        evaluation_sample(tiny.window_rankers[name], tiny.examples, name, 10)
        for name in tiny.splits.evaluation_windows[-2:]
    )
    alone = drift_report(make_reference(before, QUICK), now, QUICK, SHARED)
    assert made.drift.columns.equals(alone.columns)


def test_the_periods_of_examined_windows_are_the_windows(tiny: TinyRun) -> None:
    made = watched(tiny, served_on([]))
    assert made.periods["period"].unique().sort().to_list() == [
        tiny.splits.start_of(window) for window in tiny.splits.evaluation_windows
    ]
    own = made.periods.filter(period=tiny.splits.start_of(tiny.splits.evaluation_windows[-2]))
    assert set(own["psi"]) == {0.0}, "the reference beside itself"
    last = made.periods.filter(period=tiny.splits.start_of(tiny.splits.evaluation_windows[-1]))
    assert last["psi"].to_list() == made.drift.columns["psi"].to_list()


def test_where_neither_the_log_nor_the_windows_have_enough_users_nothing_is_judged_and_it_says_so(
    tiny: TinyRun,
) -> None:
    made = watched(tiny, served_on([3] * 9 + [10] * 9), QUICK.model_copy(update={"min_clusters": 500}))
    assert (made.source, made.drift.is_judged) == (EVALUATION_WINDOWS, False)
    assert made.verdict().startswith("not judged: ")
    assert "at least 500 on either side are needed" in made.verdict()


@pytest.mark.parametrize("n_last", [1, 2])
def test_windows_that_asked_no_user_are_not_judged(tiny: TinyRun, n_last: int) -> None:
    gone = [name for window in tiny.splits.evaluation_windows[-n_last:] for name in tiny.splits.slices_of(window)]
    fewer = replace(tiny.examples, rows=tiny.examples.rows.filter(~pl.col("slice").is_in(gone)))
    made = window_drift(served_on([]), fewer, tiny.window_rankers.__getitem__, QUICK)
    assert not made.drift.is_judged
    assert made.periods["period"].n_unique() == len(tiny.splits.evaluation_windows) - n_last


def test_the_verdict_says_what_was_compared_and_of_which_days(tiny: TinyRun) -> None:
    made = watched(tiny, served_on([3] * 6 + [10] * 6))
    assert made.verdict().endswith("; event log, 2017-07-17 to 2017-07-23 beside 2017-07-10 to 2017-07-16")
    assert watched(tiny, served_on([])).verdict().count("; examined windows, ") == 1


def test_rows_of_another_feature_set_are_not_read(tiny: TinyRun) -> None:
    """They may have another number of columns, and then could not even be read beside ours."""
    ours = served_on([3] * 6 + [10] * 6)
    theirs = served_on([3] * 50, first_user=100, shift=9.0, feature_set="older")
    shorter = theirs.impressions.with_columns(features=pl.lit(b"\0" * 8), feature_states=pl.lit(b"\0" * 2))
    made = watched(tiny, ours.and_also(Served(requests=theirs.requests, impressions=shorter)))
    assert (made.source, about(made)["n_reference_clusters"], about(made)["n_window_clusters_seen"]) == (
        EVENT_LOG,
        6,
        6,
    )
    assert made.periods["n_clusters"].unique().to_list() == [6]


def test_a_period_that_read_another_feature_set_is_no_reference(tiny: TinyRun) -> None:
    """As after a change of the features: until the log has filled both periods, the windows are compared."""
    before = served_on([3] * 50, first_user=100, feature_set="older")
    assert watched(tiny, before.and_also(served_on([10] * 9))).source == EVALUATION_WINDOWS


def test_a_request_as_of_the_far_future_ends_no_window_and_is_no_period_of_its_own(tiny: TinyRun) -> None:
    far = pl.lit(9_999_999_999, pl.Int64)
    today, asked = served_on([13] * 6 + [20] * 6), served_on([20], first_user=50)
    ahead = Served(
        requests=asked.requests.with_columns(requested_at=far),
        impressions=asked.impressions.with_columns(requested_at=far),
    )
    made = watched(tiny, today.and_also(ahead))
    assert (made.source, about(made)["n_window_clusters_seen"]) == (EVENT_LOG, 7)
    assert made.periods["period"].unique().sort().to_list() == [EPOCH + 7 * DAY, EPOCH + 14 * DAY]


def test_requests_as_of_the_past_are_of_the_past_whenever_they_were_answered(tiny: TinyRun) -> None:
    later = (EPOCH + 400 * DAY) * 1_000_000
    old = served_on([3] * 6 + [10] * 6)
    logged = Served(
        requests=old.requests.with_columns(served_at=later), impressions=old.impressions.with_columns(served_at=later)
    )
    made = watched(tiny, logged)
    assert (made.source, about(made)["n_window_clusters_seen"]) == (EVENT_LOG, 6)
    assert watched(tiny, logged.and_also(served_on([30], first_user=50))).source == EVALUATION_WINDOWS, (
        "one user is too few"
    )


def test_what_drifted_is_what_changed_since_the_period_before_not_what_had_changed_earlier(tiny: TinyRun) -> None:
    before, after = served_on([3] * 40), served_on([10] * 40, first_user=100, shift=4.0)
    found = watched(tiny, before.and_also(after))
    assert set(found.drift.drifted()) == set(FEATURE_NAMES) - set(SHARED)
    settled = watched(tiny, before.and_also(after).and_also(served_on([17] * 40, first_user=200, shift=4.0)))
    assert not set(settled.drift.drifted()) & set(FEATURE_NAMES)
    by_period = settled.periods.group_by("period").agg(pl.col("psi").mean()).sort("period")["psi"].to_list()
    assert by_period[0] > 5 * by_period[2], "beside the week before the last, the first one still differs"


def share_of_items(rows: pl.DataFrame, name: str) -> float:
    """Share of the variance of a column that its items explain, within a slice; 0 for a column that is constant."""
    known = rows.filter(pl.col(name).is_not_nan() & pl.col(name).is_not_null())
    rest = pl.col(name) - pl.col(name).mean().over("slice", "item_id")
    unexplained, variance = known.select((rest**2).mean(), pl.col(name).var().alias("variance")).row(0)
    return 1 - float(unexplained / variance) if variance else 0.0


def test_what_all_users_of_a_fit_share_is_shown_and_not_judged(tiny: TinyRun) -> None:
    rows = tiny.examples.of_window(TEST).filter(pl.len().over("slice", "item_id") > 2)
    by_items = {name: share_of_items(rows, name) for name in FEATURE_NAMES}
    assert min(by_items[name] for name in SHARED) > max(by_items[name] for name in by_items.keys() - set(SHARED))
    columns = watched(tiny, served_on([])).drift.columns
    assert columns.filter(pl.col("is_drift").is_null())["column"].to_list() == [
        name for name in COLUMNS if name in SHARED
    ]
    assert columns["ks"].null_count() == 0


def test_a_watch_survives_the_disk(tiny: TinyRun, tmp_path: Path) -> None:
    made = watched(tiny, served_on([3] * 8 + [10] * 8))
    made.save(tmp_path)
    again = WindowDrift.load(tmp_path)
    assert again.source == EVENT_LOG
    assert again.periods.equals(made.periods)
    assert again.compared.equals(made.compared)
    assert again.drift.columns.equals(made.drift.columns)
    assert again.headline() == made.headline()
    assert again.verdict() == made.verdict()
    (tmp_path / "periods.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"periods\.parquet"):
        WindowDrift.load(tmp_path)


@pytest.mark.parametrize("k", [1, 5, N_CANDIDATES])
def test_it_agrees_with_the_slow_loop(tiny: TinyRun, k: int) -> None:
    """The first k places of each user of a window, best first, by the scores of the ranker that it examines."""
    for window in tiny.splits.evaluation_windows:
        ranker, rows = tiny.window_rankers[window], []
        for own in tiny.examples.of_window(window).partition_by("user_id", maintain_order=True):
            scores = ranker.score(own.select(FEATURE_NAMES).to_numpy())
            best = sorted(range(own.height), key=lambda at: -scores[at])[:k]
            rows += [(own["user_id"][0], *own.select(FEATURE_NAMES).row(at), scores[at]) for at in best]
        rows.sort(key=lambda row: row[0])
        expected = np.array([[np.nan if cell is None else cell for cell in row[1:]] for row in rows], dtype=np.float32)
        sample = evaluation_sample(ranker, tiny.examples, window, k)
        assert sample.names == (*FEATURE_NAMES, SCORE)
        assert np.array_equal(sample.values, expected, equal_nan=True)
        assert sample.clusters.tolist() == [row[0] for row in rows]


def test_a_cluster_is_a_user_whom_the_window_asked(tiny: TinyRun) -> None:
    sample = evaluation_sample(tiny.window_rankers[TEST], tiny.examples, TEST, 10)
    asked = set(np.concatenate([tiny.splits.users_of(name) for name in tiny.splits.slices_of(TEST)]).tolist())
    assert set(sample.clusters.tolist()) == asked
    assert np.bincount(sample.clusters).max() == 10


def test_a_window_that_asked_no_user_has_no_rows(tiny: TinyRun) -> None:
    sample = evaluation_sample(tiny.window_rankers[TEST], tiny.examples, "of no name", 10)
    assert sample.values.shape == (0, len(FEATURE_NAMES) + 1)
