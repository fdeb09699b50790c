"""Days of the log, one at a time or many in one run: the same tables, and the same again."""

import json
from dataclasses import replace

import pytest

from recsys_core.days import DAY_S
from recsys_core.feedback.records import Event
from tests.assets.projects import Project
from tests.assets.test_planning import click, rating, write_log

DAYS = ["2016-10-18", "2016-10-19", "2016-10-20", "2016-10-21"]


@pytest.fixture
def bare(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project without artifacts: days of the log need none."""
    return Project.new(tmp_path_factory.mktemp("bare") / "project")


def on_day(n: int, one: Event) -> Event:
    return replace(one, timestamp=one.timestamp + n * DAY_S, received_at=one.received_at + n * DAY_S)


def write_days(project: Project, *more: Event) -> None:
    """Three days with a silent one between them; an event of the first arrives with the last."""
    late = replace(on_day(3, click("late", item=9)), timestamp=click().timestamp)
    write_log(project, [click("a"), on_day(1, rating("b", item=2)), on_day(3, click("c", item=3)), late, *more])


def days_of(project: Project) -> dict[str, str]:
    """Day -> version of every ingested day."""
    return {
        one.name: json.loads((one / "CURRENT").read_text())["body"]["made"]["version"]
        for one in (project.lake / "artifacts/interactions").iterdir()
    }


def runs_of(project: Project) -> list[list[str]]:
    """Which days each run made, oldest run first."""
    found: list[list[str]] = project.call(print_runs).json()
    return found


def print_runs() -> None:
    """Read in a process of the project."""
    import dagster as dg

    from recsys_assets.instance import instance

    with instance() as dagster:
        records = dagster.fetch_materializations(dg.AssetKey("interactions"), limit=1000, ascending=True).records
        by_run: dict[str, list[str]] = {}
        for one in records:
            by_run.setdefault(one.run_id, []).append(str(one.partition_key))
    print(json.dumps(list(by_run.values())))  # noqa: T201


def print_rows() -> None:
    """Day -> what Dagster shows of its latest materialization, in a process of the project."""
    import dagster as dg

    from recsys_assets.instance import instance

    with instance() as dagster:
        records = dagster.fetch_materializations(dg.AssetKey("interactions"), limit=1000, ascending=True).records
        told = {}
        for one in records:
            materialization = one.asset_materialization
            assert materialization is not None
            metadata = materialization.metadata
            told[str(one.partition_key)] = [metadata["dagster/row_count"].value, metadata["version"].value]
    print(json.dumps(told))  # noqa: T201


def test_a_range_is_one_run_with_a_row_count_and_a_version_of_each_day(bare: Project) -> None:
    write_days(bare)
    assert bare.recsys("backfill", DAYS[0], DAYS[-1], "--json").json() == {"days": DAYS}
    assert runs_of(bare) == [DAYS]
    versions = days_of(bare)
    assert versions.keys() == set(DAYS)
    told = bare.call(print_rows).json()
    assert {day: rows for day, (rows, _) in told.items()} == dict(zip(DAYS, [1, 1, 0, 2], strict=True))
    assert {day: version for day, (_, version) in told.items()} == {day: one[:12] for day, one in versions.items()}


def test_one_run_for_all_days_and_a_run_for_each_make_the_same_tables(bare: Project) -> None:
    write_days(bare)
    for day in DAYS:
        assert bare.recsys("backfill", day).code == 0
    one_by_one = days_of(bare)
    assert runs_of(bare) == [[day] for day in DAYS]
    assert bare.recsys("backfill", DAYS[0], DAYS[-1]).code == 0
    assert days_of(bare) == one_by_one, "and a day that is read again comes out the same"


def test_a_refresh_reads_each_stretch_of_new_days_in_one_run(project: Project) -> None:
    write_days(project)
    built = project.refresh()
    assert built[:3] == [f"interactions/{day}" for day in (DAYS[0], DAYS[1], DAYS[3])]
    assert runs_of(project) == [DAYS[:2], DAYS[3:]]


def test_gaps_are_told_until_the_days_are_ingested(bare: Project) -> None:
    assert "no gaps" in bare.recsys("log", "gaps").out
    write_days(bare)
    told = bare.recsys("log", "gaps", "--json").json()
    assert [(one["first"], one["last"], one["what"]) for one in told] == [
        (DAYS[0], DAYS[1], "not ingested"),
        (DAYS[2], DAYS[2], "nothing arrived"),
        (DAYS[3], DAYS[3], "not ingested"),
    ]
    assert bare.recsys("backfill", DAYS[0], DAYS[-1]).code == 0
    write_log(bare, [rating("new")])
    shown = bare.recsys("log", "gaps").out
    assert "changed since it was ingested" in shown
    assert "not ingested" not in shown


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (("2016-10-20", "2016-10-19"), "2016-10-20 comes after 2016-10-19: give the earlier day first"),
        (("2016-09-01", "2016-10-19"), "2016-09-01 lies before 2016-09-17, when the log begins: start there"),
        (("2016-10-18", "2999-01-01"), "2999-01-01 is not closed yet, so that events may still arrive on it: end at"),
        (("18.10.2016",), "'18.10.2016' is not a day: write it as YYYY-MM-DD"),
    ],
)
def test_a_range_that_is_none_is_refused_with_the_remedy(bare: Project, days: tuple[str, ...], said: str) -> None:
    assert f"recsys: {said}" in bare.recsys("backfill", *days).sentence


def test_a_day_of_rubbish_stops_the_range_and_what_was_read_before_it_stays(bare: Project) -> None:
    bare.settings.write_text("interactions:\n  max_bad_share: 0.1\n")
    write_days(bare, on_day(1, click("b", item=4)))  # another event of that day's id "b"
    assert "2016-10-19: 1 of 2 events are rejected" in bare.recsys("backfill", DAYS[0], DAYS[-1]).sentence
    assert days_of(bare).keys() == {DAYS[0]}
