"""Parity and drift of what was served: of the past that is always there, and of the event log once its day is over."""

import time

import polars as pl
import pytest

from recsys_core.data.splits import Splits
from recsys_core.feedback.deduplication import NO_VERSION
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.monitoring.drift_window import EVALUATION_WINDOWS, WindowDrift
from recsys_core.monitoring.parity import COLUMNS, ParityReport
from recsys_core.monitoring.served import Served
from recsys_core.tables import read_table
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import below
from tests.conftest import Built
from tests.core.feedback.rows import impression

N_PLAYED = 300
"""`past_requests.max_requests` of the smoke settings."""

CLOSED_DAY = "1476748800"
"""2016-10-18, in seconds."""


def test_the_release_is_asked_before_each_of_the_latest_ratings(built: Built) -> None:
    ratings = read_table(built.project.folder("ratings") / "ratings.parquet")
    past = Served.load(built.project.folder("past_requests"))
    lineage = built.project.manifest("past_requests")["lineage"]
    played = ratings.sort("timestamp", maintain_order=True).tail(N_PLAYED)
    assert ratings.height > N_PLAYED
    assert past.requests["user_id"].to_list() == played["user_id"].to_list()
    assert lineage["facts"] == {"n_requests": N_PLAYED, "n_slots": past.impressions.height}
    assert (lineage["data_from"], lineage["data_until"]) == (played["timestamp"].min(), played["timestamp"].max())
    assert past.impressions["item_id"].is_in(ratings["item_id"].unique().implode()).all()


def test_not_one_bit_of_what_was_served_differs(built: Built) -> None:
    report = ParityReport.load(built.project.folder("parity_report"))
    lineage = built.project.manifest("parity_report")["lineage"]
    past = built.project.manifest("past_requests")["lineage"]["facts"]
    assert report.is_clean()
    assert set(report.columns["n_compared"]) == {past["n_slots"]}
    assert report.columns["column"].to_list() == list(COLUMNS)
    assert lineage["facts"] == {
        **past, "n_absent": 0, "n_wrong_lists": 0, "n_late": 0, "n_of_other_releases": 0, "n_repeated": 0,
        "n_excluded": 0, "n_left_out": 0, "n_mismatches": 0, "n_columns_at_fault": 0,
    }  # fmt: skip
    assert lineage["inputs"]["served"] == NO_VERSION, "nobody has asked yet"


def test_while_nobody_asks_the_last_two_examined_windows_are_compared(built: Built) -> None:
    found, splits = WindowDrift.load(built.project.folder("drift_report")), Splits.load(built.project.folder("splits"))
    before, last = splits.evaluation_windows[-2:]
    assert found.compared.rows() == [
        ("reference", EVALUATION_WINDOWS, splits.start_of(before), splits.start_of(last)),
        ("window", EVALUATION_WINDOWS, splits.start_of(last), splits.until(splits.slices_of(last)[0])),
    ]
    rows = read_table(built.project.folder("ranking_examples") / "rows.parquet")
    asked = rows.filter(pl.col("slice").is_in(splits.slices_of(last)))["user_id"].n_unique()
    assert found.drift.about["n_window_clusters_seen"].to_list() == [asked]
    assert found.drift.columns["column"].to_list() == list(COLUMNS)
    assert built.project.manifest("drift_report")["lineage"]["facts"]["source"] == EVALUATION_WINDOWS


@pytest.mark.slow
def test_a_request_of_a_day_that_is_not_over_makes_nothing_stale(project: Project) -> None:
    assert project.recsys("recommend", "--user", "15").code == 0
    assert project.call(log_answers, str(int(time.time())), "3", "0").code == 0
    assert project.plan() == {}


def test_slots_of_a_closed_day_are_news_even_when_no_request_came_with_them(project: Project) -> None:
    with SqliteLog(project.lake / "log") as log:
        log.append(impressions=[impression(served_at=int(CLOSED_DAY) * 1_000_000)])
    plan = project.plan()
    for report in ("parity_report", "drift_report"):
        assert "input served changed" in plan[report]


@pytest.mark.slow
def test_requests_of_a_closed_day_are_replayed_with_the_past(project: Project) -> None:
    past = Served.load(project.folder("past_requests"))
    assert project.call(log_answers, CLOSED_DAY, "25", "0").code == 0
    read_by = {"parity_report", "drift_report", "impression_outcomes"}
    assert project.plan().keys() == read_by | below("impression_outcomes")
    # Nobody answered, so that what was shown teaches no order: the examples come out the same.
    assert set(project.refresh()) == read_by | {"implicit_feedback", "ranking_examples"}
    report = ParityReport.load(project.folder("parity_report"))
    assert report.is_clean()
    assert report.about["n_requests"].to_list() == [past.requests.height + 25]
    assert project.manifest("parity_report")["lineage"]["inputs"]["served"] != NO_VERSION
    assert WindowDrift.load(project.folder("drift_report")).source == EVALUATION_WINDOWS, (
        "25 users are too few to judge"
    )
    assert project.plan() == {}


@pytest.mark.slow
def test_a_logged_value_that_is_computed_otherwise_stops_the_refresh(project: Project) -> None:
    """The server that answered reckoned hours in another time zone."""
    assert project.call(log_answers, CLOSED_DAY, "4", "2").code == 0
    assert "online_features_equal_offline_ones" in project.recsys("refresh").sentence
    report = ParityReport.load(project.folder("parity_report"))
    assert report.at_fault() == ["context_hour"]
    assert report.columns.filter(column="context_hour")["request_id"].to_list() == ["r0"]
    assert "online_features_equal_offline_ones" in project.recsys("refresh").sentence, "nor does a second try"


def log_answers(served_at: str, n: str, hours_off: str) -> None:
    """Answer users as of the end of the data, each with liking one movie more, and log it as served in a second."""
    from dataclasses import replace

    from recsys_assets.resources import event_log, lake_root
    from recsys_core.features.registry import FEATURE_NAMES
    from recsys_core.lake.store import Lake
    from recsys_core.serving.bundle import load_bundle
    from recsys_core.serving.logging import impression_records, request_record
    from recsys_core.serving.recommender import Recommender
    from recsys_core.serving.requests import Request

    recommender = Recommender(bundle=load_bundle(Lake(lake_root())))
    release, at, now = recommender.bundle.release, int(served_at) * 1_000_000, recommender.now
    log, hour = event_log(lake_root()), FEATURE_NAMES.index("context_hour")
    for user in range(int(n)):
        likes = recommender.somebody_who_likes([318 + user % 2], now)
        answer = recommender.answer(
            Request(request_id=f"r{user}", user_id=user + 1, history=likes, requested_at=now, k=10)
        )
        read = answer.features.copy()
        read[:, hour] += int(hours_off)
        answer = replace(answer, features=read)
        log.append(requests=[request_record(answer, release, at)], impressions=impression_records(answer, release, at))
    log.close()
