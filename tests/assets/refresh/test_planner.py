"""The heart of the project: what is stale, why, and nothing else.

Each test makes one change to a built project and compares the whole plan with what it must be.
"""

import shutil
import time
import zipfile
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from recsys_core.feedback.interactions import versions_of_days
from recsys_core.feedback.records import Event
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.assets.projects import DATA_SET, Project
from tests.source_edits import append

PARTS = [
    "movies", "base_ratings", "interaction_log_head", "item_features", "two_tower", "item_embeddings", "faiss_index",
    "ranker",
]  # fmt: skip
"""What answers."""

PARENTS = {
    "raw_data": [],
    "movies": ["raw_data"],
    "base_ratings": ["raw_data", "movies"],
    "interaction_log_head": [],
    "impression_outcomes": ["interaction_log_head"],
    "implicit_feedback": ["interaction_log_head", "impression_outcomes"],
    "ratings": ["base_ratings", "interaction_log_head"],
    "splits": ["ratings", "interaction_log_head"],
    "item_features": ["ratings", "movies", "splits"],
    "user_features": ["ratings", "item_features", "splits"],
    "two_tower": ["ratings", "splits", "item_features", "implicit_feedback"],
    "item_embeddings": ["two_tower"],
    "faiss_index": ["item_embeddings"],
    "retrieval_report": ["ratings", "splits", "two_tower", "faiss_index"],
    "ranking_examples": [
        "ratings", "splits", "item_features", "user_features", "two_tower", "implicit_feedback", "impression_outcomes",
    ],
    "ranker": ["ranking_examples"],
    "ranking_report": ["ranking_examples", "ranker"],
    "baselines": ["ratings", "splits"],
    "eval_report": [
        "ratings", "movies", "splits", "item_features", "two_tower", "faiss_index", "ranker", "baselines",
    ],
    "past_requests": PARTS,
    "parity_report": [*PARTS, "past_requests"],
    "drift_report": ["ranking_examples", "ranker"],
}  # fmt: skip
"""The graph, written down a second time on purpose: an edge that appears or goes must be meant."""

BY_SLICES = {"user_features", "two_tower", "ranking_examples", "eval_report"}
"""They import `features.tables`, which imports how features of items are made."""

MONITORING = {"past_requests", "parity_report", "drift_report"}

BY_REGISTRY = {"ranking_examples", "ranker", "ranking_report", "eval_report", *MONITORING}
"""They import `features.registry`, which imports all features; towers do not."""

MODELS = {"baselines"} | set(PARENTS) - {
    "raw_data", "movies", "base_ratings", "interaction_log_head", "impression_outcomes", "implicit_feedback", "ratings",
    "splits", "item_features", "user_features",
}  # fmt: skip
"""Everything from the towers on."""


def below(*assets: str) -> set[str]:
    """All descendants."""
    found: set[str] = set()
    while new := {child for child, parents in PARENTS.items() if {*assets, *found} & set(parents)} - found:
        found |= new
    return found


def certain(plan: dict[str, list[str]]) -> dict[str, list[str]]:
    """Those that will be rebuilt whatever comes out above them."""
    return {name: reasons for name, reasons in plan.items() if any("waits for" not in one for one in reasons)}


def test_what_was_just_built_is_fresh(project: Project) -> None:
    assert project.plan() == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "changed"),
    [
        ("recsys_core.tables", set(PARENTS)),
        ("recsys_core.data.ratings_table", {"movies", "base_ratings", "ratings"} | MODELS - {"baselines"}),
        (
            "recsys_core.feedback.labels",
            {"interaction_log_head", "implicit_feedback", "impression_outcomes", "two_tower"},
        ),
        ("recsys_core.features.items", {"item_features", *BY_SLICES, *BY_REGISTRY}),
        ("recsys_core.features.user_item", BY_REGISTRY),
        ("recsys_core.retrieval.training", {"two_tower"}),
        ("recsys_core.ranking.ranker", {"ranker", "ranking_report", "eval_report", *MONITORING}),
        ("recsys_core.ranking.diagnostics", {"ranker", "ranking_report", "eval_report", "drift_report"}),
        ("recsys_core.ranking.report", {"ranking_report"}),
        ("recsys_core.ranking.rankers", {"ranker", "ranking_report", "eval_report", "drift_report"}),
        ("recsys_core.metrics.beyond_accuracy", {"eval_report"}),
        ("recsys_core.evaluation.funnel", {"eval_report"}),
        ("recsys_core.serving.recommender", MONITORING),
        ("recsys_assets.publishing", set()),
        ("recsys_assets.metadata.retrieval", set()),
        ("recsys_assets.checks.data", set()),
    ],
)
def test_a_module_that_does_more_at_import_makes_stale_what_imports_it(
    project: Project, module: str, changed: set[str]
) -> None:
    append(project.source, import_module(module), "[].append(1)")
    plan = project.plan()
    assert certain(plan).keys() == changed
    assert plan.keys() == changed | below(*changed)
    assert all("code changed" in plan[name] for name in changed)


@pytest.mark.slow
def test_a_changed_asset_function_makes_that_asset_alone_stale(project: Project) -> None:
    from recsys_assets.assets.data import splits

    reading = 'clicks = run.table("interaction_log_head", "clicks")'
    project.edit(splits, before=reading, after=f"{reading}\nclicks = clicks")
    plan = project.plan()
    assert certain(plan) == {"splits": ["code changed"]}
    assert plan.keys() == {"splits"} | below("splits")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asset", "field", "before", "after"),
    [
        ("movies", "max_bad_share", None, 0.02),
        ("base_ratings", "max_bad_share", None, 0.02),
        ("splits", "n_windows", "5", 4),
        ("two_tower", "n_epochs", "3", 2),
        ("faiss_index", "n_probe", None, 9),
        ("ranking_examples", "n_candidates", "50", 40),
        ("ranker", "n_rounds", "10", 11),
        ("baselines", "n_trials", "1", 2),
        ("eval_report", "n_draws", "100", 110),
    ],
)
def test_a_changed_setting_makes_its_asset_stale_and_those_below_wait(
    project: Project, asset: str, field: str, before: str | None, after: object
) -> None:
    settings = yaml.safe_load(project.settings.read_text())
    settings.setdefault(asset, {})[field] = after
    project.settings.write_text(yaml.safe_dump(settings))
    plan = project.plan()
    (reason,) = certain(plan)[asset]
    assert reason.startswith(f"parameters changed: {field}: {before or ''}")
    assert reason.endswith(f" -> {after}")
    assert plan.keys() == {asset} | below(asset)
    assert all(plan[name] == [f"waits for: {asset}"] for name in below(asset))


@pytest.mark.slow
def test_a_setting_spelt_out_as_its_default_changes_nothing(project: Project) -> None:
    settings = yaml.safe_load(project.settings.read_text())
    settings["two_tower"]["rating_l2"] = "5e1"  # as YAML reads 5e1: a text
    project.settings.write_text(yaml.safe_dump(settings))
    assert project.plan() == {}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["flipped bit", "cut short", "file gone", "version gone", "pointer gone"])
def test_damage_of_any_kind_is_seen_before_anything_is_rebuilt(project: Project, fault: str) -> None:
    folder = project.folder("item_embeddings")
    file = folder / "vectors.npy"
    if fault == "flipped bit":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.chmod(0o644)
        file.write_bytes(data)
    elif fault == "cut short":
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:-1])
    elif fault == "file gone":
        file.unlink()
    elif fault == "version gone":
        folder.rename(folder.with_name("elsewhere"))
    else:
        (folder.parent / "CURRENT").unlink()
    waits = ["waits for: item_embeddings"]
    assert project.plan() == {"item_embeddings": ["damaged"]} | dict.fromkeys(below("item_embeddings"), waits)


def test_a_day_that_is_not_over_is_left_alone(project: Project) -> None:
    far = int(datetime(2999, 1, 1, tzinfo=UTC).timestamp())
    write_log(project, [replace(click(), timestamp=far, received_at=far)])
    assert project.plan() == {}


@pytest.mark.slow
def test_a_day_that_is_over_stays_open_for_its_grace(project: Project) -> None:
    """Yesterday has been over for less than two days, whatever the time is now."""
    yesterday = int(time.time()) - 86_400
    write_log(project, [replace(click(), timestamp=yesterday, received_at=yesterday)])
    settings = yaml.safe_load(project.settings.read_text())
    project.settings.write_text(yaml.safe_dump(settings | {"interactions": {"grace_s": 2 * 86_400}}))
    assert project.plan() == {}
    project.settings.write_text(yaml.safe_dump(settings | {"interactions": {"grace_s": 0}}))
    assert f"interactions/{datetime.fromtimestamp(yesterday, UTC).date()}" in project.plan()


def test_a_damaged_log_is_named_before_anything_is_rebuilt(project: Project) -> None:
    write_log(project, [click()])
    file = project.lake / "log" / "writer-000.sqlite"
    file.write_bytes(b"x" * 5000)
    assert f"{file}: file is not a database" in project.recsys("refresh", "--plan").sentence


@pytest.mark.slow
def test_a_year_of_logs_is_planned_in_well_under_a_second(tmp_path: Path) -> None:
    """365 days of 300 events each, written by three processes' files; one query a file, not one a day."""
    days = range(365)
    at = [(day, number, 1_476_748_800 + day * 86_400 + number) for day in days for number in range(300)]
    with ExitStack() as stack:
        for writer in range(3):
            log = stack.enter_context(SqliteLog(tmp_path / "log"))
            mine = at[writer::3]
            log.append(events=[replace(click(f"{day}-{n}"), timestamp=now, received_at=now) for day, n, now in mine])
        started = time.process_time()
        versions = versions_of_days(log)
    assert time.process_time() - started < 1.0
    assert len(versions) == 365


@pytest.mark.slow
def test_another_source_is_seen_by_its_bytes(project: Project, tmp_path: Path) -> None:
    mine = tmp_path / "mine.zip"
    mine.write_bytes((project.lake / "raw" / DATA_SET).read_bytes())
    settings = yaml.safe_load(project.settings.read_text())
    project.settings.write_text(yaml.safe_dump(settings | {"raw_data": {"dataset": str(mine)}}))
    first = project.plan()
    assert [one.split(":")[0] for one in first["raw_data"]] == ["parameters changed"]
    with zipfile.ZipFile(mine, "a") as archive:
        archive.writestr("ml-latest-small/more.txt", "more")
    assert "input source changed" in project.plan()["raw_data"]
    assert first.keys() == {"raw_data"} | below("raw_data")


def test_the_embedded_data_set_is_refused_when_its_bytes_changed(project: Project) -> None:
    with (project.lake / "raw" / DATA_SET).open("ab") as stream:
        stream.write(b"x")
    answer = project.recsys("refresh", "--plan")
    assert f"{DATA_SET} is not the expected file" in answer.sentence


def skip(event: str = "e1", item: int = 1) -> Event:
    """An event that teaches nothing."""
    return replace(rating(event, item), kind="skip", value=None)


def click(event: str = "e1", item: int = 1) -> Event:
    """An event that changes no rating."""
    return replace(rating(event, item), kind="click", value=None)


def rating(event: str = "r1", item: int = 1, stars: float = 5.0) -> Event:
    """An event that arrived on 2016-10-18."""
    at = 1_476_748_800 + 3_600
    return Event(event_id=event, user_id=1, item_id=item, kind="rating", value=stars, timestamp=at, received_at=at)


def write_log(project: Project, events: list[Event]) -> None:
    """The log, whole: what it held before is gone."""
    folder = project.lake / "log"
    shutil.rmtree(folder, ignore_errors=True)
    with SqliteLog(folder) as log:
        log.append(events=events)
