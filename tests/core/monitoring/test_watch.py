"""Whose requests are looked at, over which window, and how they developed."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.errors import ArtifactError
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE, pack_features
from recsys_core.feedback.schemas import FRESH
from recsys_core.monitoring.config import DriftConfig, ReferenceConfig
from recsys_core.monitoring.reference import Reference, make_reference
from recsys_core.monitoring.served import Served
from recsys_core.monitoring.watch import LOGGED, PAST, Watch, watch
from tests.core.feedback.rows import impression, request

DAY, D = 86_400, len(FEATURE_NAMES)
EPOCH = 17_360 * DAY
"""A second at which a period of seven days begins."""

QUICK = DriftConfig(window_days=7, period_days=7, n_permutations=700, min_clusters=5)


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


@pytest.fixture(scope="module")
def reference() -> Reference:
    """Of forty users."""
    return make_reference(served_on([0] * 40, first_user=1_000).sample(), ReferenceConfig(n_bins=10))


def about(made: Watch) -> dict[str, int]:
    found: dict[str, int] = made.drift.about.row(0, named=True)
    return found


def test_the_log_is_looked_at_once_enough_users_are_in_its_window(reference: Reference) -> None:
    past = served_on([0] * 30, first_user=500)
    for n_logged, source, n_seen in ((4, PAST, 30), (5, LOGGED, 5), (6, LOGGED, 6)):
        made = watch(reference, served_on([0] * n_logged), past, QUICK)
        assert (made.source, about(made)["n_window_clusters"]) == (source, n_seen)
        assert made.headline()["source"] == source


def test_users_of_before_the_window_do_not_make_it_enough(reference: Reference) -> None:
    logged = served_on([0] * 20 + [30] * 4)
    assert watch(reference, logged, served_on([0] * 30, first_user=500), QUICK).source == PAST


def test_one_who_asks_often_is_one_user(reference: Reference) -> None:
    once = served_on([0] * 4)
    often = Served(
        requests=pl.concat([once.requests.with_columns(pl.col("request_id") + f"-{n}") for n in range(9)]),
        impressions=pl.concat([once.impressions.with_columns(pl.col("request_id") + f"-{n}") for n in range(9)]),
    )
    assert watch(reference, often, served_on([0] * 30, first_user=500), QUICK).source == PAST


def test_an_empty_log_is_no_fault_and_neither_is_an_empty_past(reference: Reference) -> None:
    made = watch(reference, served_on([]), served_on([0] * 30, first_user=500), QUICK)
    assert made.source == PAST
    assert made.drift.is_judged
    nothing = watch(reference, served_on([]), served_on([]), QUICK)
    assert (nothing.source, nothing.drift.is_judged) == (PAST, False)
    assert nothing.periods.is_empty()
    assert "not judged" in nothing.drift.verdict()


def test_rows_of_another_feature_set_are_not_read(reference: Reference) -> None:
    """They may have another number of columns, and then could not even be read beside ours."""
    ours, theirs = served_on([0] * 6), served_on([0] * 50, first_user=100, shift=9.0, feature_set="older")
    shorter = theirs.impressions.with_columns(features=pl.lit(b"\0" * 8), feature_states=pl.lit(b"\0" * 2))
    logged = ours.and_also(Served(requests=theirs.requests, impressions=shorter))
    made = watch(reference, logged, served_on([]), QUICK)
    assert (made.source, about(made)["n_window_clusters_seen"]) == (LOGGED, 6)
    assert made.periods["n_clusters"].unique().to_list() == [6]


def test_the_window_ends_with_the_latest_request_and_periods_go_back_to_the_first(reference: Reference) -> None:
    """Window: a week back from day 20, so after day 13. Periods: weeks since 1970, named by their first second."""
    days = [0, 1, 6, 7, 7, 13, 13, 14, 14, 15, 19, 20]
    made = watch(reference, served_on(days), served_on([]), QUICK)
    assert about(made)["n_window_clusters_seen"] == 5, "days 14, 14, 15, 19 and 20"
    assert made.periods.schema.names() == ["period", "column", "n_clusters", "psi", "window_missing_share"]
    found = made.periods.group_by("period", maintain_order=True).agg(pl.col("n_clusters").unique(), pl.len())
    assert found.rows() == [(EPOCH + week * 7 * DAY, [n], D + 1) for week, n in ((0, 3), (1, 4), (2, 5))]


def test_a_request_as_of_the_far_future_ends_no_window_and_is_no_period_of_its_own(reference: Reference) -> None:
    far = pl.lit(9_999_999_999, pl.Int64)
    today, asked = served_on([20] * 6), served_on([20], first_user=50)
    ahead = Served(
        requests=asked.requests.with_columns(requested_at=far),
        impressions=asked.impressions.with_columns(requested_at=far),
    )
    made = watch(reference, today.and_also(ahead), served_on([0] * 30, first_user=500), QUICK)
    assert (made.source, about(made)["n_window_clusters_seen"]) == (LOGGED, 7)
    assert made.periods["period"].unique().to_list() == [EPOCH + 14 * DAY]


def test_requests_as_of_the_past_are_of_the_past_whenever_they_were_answered(reference: Reference) -> None:
    later = (EPOCH + 400 * DAY) * 1_000_000
    old = served_on([0] * 6)
    logged = Served(
        requests=old.requests.with_columns(served_at=later), impressions=old.impressions.with_columns(served_at=later)
    )
    made = watch(reference, logged.and_also(served_on([20], first_user=50)), served_on([]), QUICK)
    assert about(made)["n_window_clusters_seen"] == 0, "one user is too few, and the past is empty"
    assert watch(reference, logged, served_on([]), QUICK).periods["period"].unique().to_list() == [EPOCH]


def test_what_drifted_is_what_the_window_says_not_the_time_before(reference: Reference) -> None:
    before, after = served_on([0] * 40), served_on([30] * 40, first_user=100, shift=4.0)
    found = watch(reference, before.and_also(after), served_on([]), QUICK)
    assert set(FEATURE_NAMES) <= set(found.drift.drifted())
    moved_back = watch(reference, after.and_also(served_on([60] * 40)), served_on([]), QUICK)
    assert not set(moved_back.drift.drifted()) & set(FEATURE_NAMES)
    by_period = found.periods.group_by("period").agg(pl.col("psi").mean()).sort("period")["psi"].to_list()
    assert by_period[1] > 5 * by_period[0]


def test_a_watch_survives_the_disk(reference: Reference, tmp_path: Path) -> None:
    made = watch(reference, served_on([0] * 8), served_on([]), QUICK)
    made.save(tmp_path)
    again = Watch.load(tmp_path)
    assert again.source == LOGGED
    assert again.periods.equals(made.periods)
    assert again.drift.columns.equals(made.drift.columns)
    assert again.headline() == made.headline()
    (tmp_path / "periods.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"periods\.parquet"):
        Watch.load(tmp_path)
