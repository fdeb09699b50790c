"""News of the log become runs, once each; and nothing starts by itself before somebody switches it on."""

import datetime
import json
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.automation import sensors
from recsys_assets.automation.sensors import MAX_DAYS, new_feedback_arrived, refresh_every_night
from recsys_assets.definitions import defs
from recsys_assets.refresh.planner import days_out_of_date, make_plan
from recsys_assets.resources import PROJECT, LakeResource
from recsys_core.days import start_of
from recsys_core.feedback.records import Event

FIRST, SECOND = "2016-10-18", "2016-10-19"


@pytest.fixture
def lake(tmp_path: Path) -> LakeResource:
    return LakeResource(root=str(tmp_path))


def log(lake: LakeResource, day: str, text: str) -> None:
    """An event of a day; what it says is not the sensor's concern."""
    at = start_of(day)
    event = Event(
        event_id=f"{day} {text.strip()}", user_id=1, item_id=1, kind="click", value=None, timestamp=at, received_at=at
    )
    with lake.open_log() as opened:
        opened.append(events=[event])


def ticks(lake: LakeResource, cursor: str | None) -> tuple[list[str], str]:
    """The days that one tick asks for, and the cursor after it."""
    context = dg.build_sensor_context(cursor=cursor)
    result = new_feedback_arrived(context, lake=lake)
    assert isinstance(result, dg.SensorResult)
    return [request.partition_key or "" for request in result.run_requests or ()], result.cursor or ""


@pytest.mark.parametrize("cursor", ["{", "[]", "7", "[" * 200_000, "soon"])
def test_a_cursor_that_somebody_wrote_by_hand_starts_afresh(cursor: str, lake: LakeResource) -> None:
    log(lake, FIRST, "a")
    assert ticks(lake, cursor)[0] == [FIRST]


def test_a_day_is_asked_for_once_per_content_of_its_log(lake: LakeResource) -> None:
    log(lake, FIRST, "a\n")
    days, cursor = ticks(lake, None)
    assert days == [FIRST]
    days, cursor = ticks(lake, cursor)
    assert days == [], "it waits in the queue, or its log cannot be read"
    log(lake, SECOND, "a\n")
    days, cursor = ticks(lake, cursor)
    assert days == [SECOND]
    log(lake, FIRST, "b\n")
    days, cursor = ticks(lake, cursor)
    assert days == [FIRST]
    log(lake, FIRST, "a\n")
    assert ticks(lake, cursor)[0] == [], "a second delivery is no news"


def test_what_is_done_leaves_the_cursor(lake: LakeResource, monkeypatch: pytest.MonkeyPatch) -> None:
    log(lake, FIRST, "a\n")
    cursor = ticks(lake, None)[1]
    assert json.loads(cursor).keys() == {FIRST}
    monkeypatch.setattr(sensors, "days_out_of_date", lambda _lake: {})
    assert json.loads(ticks(lake, cursor)[1]) == {}


def test_after_a_long_pause_a_tick_asks_for_some_days_and_the_next_for_more(lake: LakeResource) -> None:
    start = datetime.date(2017, 1, 1)
    all_days = [str(start + datetime.timedelta(days=number)) for number in range(MAX_DAYS + 3)]
    for day in all_days:
        log(lake, day, "a\n")
    first, cursor = ticks(lake, None)
    second, cursor = ticks(lake, cursor)
    assert first + second == all_days
    assert len(first) == MAX_DAYS
    assert ticks(lake, cursor)[0] == []


def test_the_sensor_sees_the_days_that_the_plan_sees(lake: LakeResource) -> None:
    (Path(lake.root) / "raw").mkdir()
    data_set = Path(lake.root) / "raw" / "ml-latest-small-2016.zip"
    data_set.symlink_to(PROJECT / "data_lake" / "raw" / data_set.name)
    log(lake, FIRST, "a\n")
    log(lake, "2999-01-01", "a\n")
    planned = [name.split("/")[1] for name, verdict in make_plan(lake).items() if "/" in name and verdict.is_stale]
    assert list(days_out_of_date(lake)) == planned == [FIRST]


def test_the_schedule_closes_the_day_that_is_over() -> None:
    repository = defs.get_repository_def()
    schedule = repository.get_schedule_def("close_yesterday")
    at = datetime.datetime(2026, 3, 2, 1, 15, tzinfo=datetime.UTC)
    with dg.build_schedule_context(repository_def=repository, scheduled_execution_time=at) as context:
        tick = schedule.evaluate_tick(context)
    assert [request.partition_key for request in tick.run_requests or ()] == ["2026-03-01"]
    assert schedule.cron_schedule == "15 1 * * *"


def test_nothing_starts_by_itself() -> None:
    repository = defs.get_repository_def()
    assert {one.name for one in repository.sensor_defs} == {"rerun_when_stale", "new_feedback_arrived"}
    assert {one.name for one in repository.schedule_defs} == {"close_yesterday", "refresh_every_night"}
    for sensor in repository.sensor_defs:
        assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
        assert len(sensor.description or "") > 40
    for schedule in repository.schedule_defs:
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
        assert len(schedule.description or "") > 40
    assert refresh_every_night.job.name == "refresh"
