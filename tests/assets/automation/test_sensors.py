"""New log days become runs, once each; conditions rebuild what is stale; nothing starts before it is switched on."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.asset_specs import ASSET_SPECS
from recsys_assets.automation import sensors
from recsys_assets.automation.sensors import (
    AUTOMATION_SENSOR,
    MAX_DAYS,
    new_feedback_arrived,
    refresh_every_night,
    rerun_when_stale,
    with_conditions,
)
from recsys_assets.definitions import declared_assets, defs
from recsys_assets.refresh.planner import days_out_of_date, make_plan
from recsys_assets.resources import PROJECT, LakeResource
from recsys_core.days import start_of
from recsys_core.feedback.records import Event
from tests.assets.refresh.test_planner import PARENTS, below

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


pytestmark = pytest.mark.filterwarnings("ignore:Parameter `include_sources`")  # Dagster's evaluation uses it itself

GRAPH = defs.resolve_asset_graph()
DAY = "2016-10-18"


class World:
    """An instance that was told that everything is built and proven, and what the conditions make of it."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: dg.AssetDaemonCursor | None = None  # type: ignore[name-defined]
        for name in PARENTS:
            self.make(name, "first")
        for key in GRAPH.asset_check_keys:
            self.check(key, passed=True)

    def make(self, name: str, version: str, day: str | None = None) -> None:
        """Tell that an asset was made."""
        tags = {"dagster/data_version": version}
        self.instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=day, tags=tags))

    def check(self, key: dg.AssetCheckKey, *, passed: bool) -> None:
        """Tell what a check found."""
        found = dg.AssetCheckEvaluation(asset_key=key.asset_key, check_name=key.name, passed=passed, metadata={})
        self.instance.report_runless_asset_event(found)

    def requested(self, definitions: dg.Definitions = defs) -> set[str]:
        """One tick of the sensor: what it would have built."""
        result = dg.evaluate_automation_conditions(definitions, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        keys = definitions.resolve_asset_graph().get_all_asset_keys()
        return {key.to_user_string() for key in keys if result.get_num_requested(key)}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        fresh = World(instance)
        assert fresh.requested() == set(), "what was so when it was switched on is no news"
        yield fresh


def changed_code(name: str) -> dg.Definitions:
    """The definitions after an edit of one asset's code."""

    def edited(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(code_version="edited") if spec.key == dg.AssetKey(name) else spec

    checks = list(defs.asset_checks or ())
    assets = dg.map_asset_specs(edited, with_conditions(declared_assets()))
    return dg.Definitions(assets=assets, asset_checks=checks, resources=defs.resources)


def test_nothing_happens_without_a_change(world: World) -> None:
    assert world.requested() == set()


def test_a_rebuild_to_the_same_bytes_asks_for_nothing(world: World) -> None:
    world.make("ratings", "first")
    assert world.requested() == set()


def test_other_bytes_ask_for_everything_below_once(world: World) -> None:
    world.make("ranker", "second")
    assert world.requested() == below("ranker")
    assert world.requested() == set(), "asked for already"


def test_changed_code_asks_for_the_asset_and_what_is_below(world: World) -> None:
    assert world.requested(changed_code("faiss_index")) == {"faiss_index"} | below("faiss_index")


def test_a_deleted_asset_is_asked_for(world: World) -> None:
    world.instance.wipe_assets([dg.AssetKey("ranking_report")])
    assert world.requested() == {"ranking_report"}


def test_nothing_is_built_upon_a_red_check(world: World) -> None:
    (red,) = (key for key in GRAPH.asset_check_keys if key.name == "index_belongs_to_the_towers")
    world.check(red, passed=False)
    world.make("faiss_index", "second")
    assert world.requested() == set()
    world.check(red, passed=True)
    assert world.requested() == below("faiss_index"), "the change was not forgotten"


def test_a_day_asks_for_the_head_alone_and_the_head_for_the_rest_if_it_differs(world: World) -> None:
    world.make("interactions", "skips", DAY)
    assert world.requested() == {"interaction_log_head"}
    world.make("interaction_log_head", "first")
    assert world.requested() == set(), "a day of skips ends here"
    world.make("interactions", "ratings", DAY)
    assert world.requested() == {"interaction_log_head"}
    world.make("interaction_log_head", "second")
    assert world.requested() == below("interaction_log_head")


class Chain:
    """Two assets, really made, whose content is what a test says; None fails."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.content: dict[str, str | None] = {"above": "first", "below": "first"}
        self.assets = [self._asset("above", []), self._asset("below", ["above"])]
        self.cursor: dg.AssetDaemonCursor | None = None  # type: ignore[name-defined]

    def _asset(self, name: str, deps: list[str]) -> dg.AssetsDefinition:
        @dg.asset(name=name, deps=deps, automation_condition=rerun_when_stale())
        def made() -> dg.MaterializeResult[None]:
            content = self.content[name]
            if content is None:
                raise dg.Failure("as the test says")
            return dg.MaterializeResult(data_version=dg.DataVersion(content))

        return made

    def run(self, *selection: str) -> None:
        """One run over some of them."""
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        dg.materialize(
            self.assets, instance=self.instance, run_config=quiet, selection=list(selection), raise_on_error=False
        )

    def requested(self) -> set[str]:
        """One tick of the sensor."""
        result = dg.evaluate_automation_conditions(dg.Definitions(self.assets), self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return {name for name in self.content if result.get_num_requested(dg.AssetKey(name))}


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        both = Chain(instance)
        both.run("above", "below")
        assert both.requested() == set()
        yield both


def test_what_was_made_in_one_run_with_its_parent_is_not_asked_for_again(chain: Chain) -> None:
    chain.content["above"] = "second"
    chain.run("above", "below")
    assert chain.requested() == set()
    chain.content["above"] = "third"
    chain.run("above")
    assert chain.requested() == {"below"}


def test_what_failed_in_one_run_with_its_parent_is_asked_for_once_more_and_no_further(chain: Chain) -> None:
    chain.content |= {"above": "second", "below": None}
    chain.run("above", "below")
    assert chain.requested() == {"below"}
    chain.run("below")
    assert chain.requested() == set()


def test_every_asset_but_the_partitioned_ones_has_a_condition_and_the_switch_is_off() -> None:
    conditioned = {key.to_user_string() for key in GRAPH.get_all_asset_keys() if GRAPH.get(key).automation_condition}
    assert conditioned == {name for name, spec in ASSET_SPECS.items() if not spec.is_partitioned}
    assert AUTOMATION_SENSOR.default_status == dg.DefaultSensorStatus.STOPPED
