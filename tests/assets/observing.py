"""What a project foretells, shows and does, seen by the command line, the UI and Dagster's event log.

The functions that import the project's packages run in a forked process of it: see `Project.call`. One process answers
all questions about one state of the sources, since starting one takes longer than most answers.
"""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.assets.projects import Project

Said = dict[str, list[str]]
"""Artifact -> why it is out of date; nothing of what is up to date."""

NODES = """
{ assetNodes {
  assetKey { path } isPartitioned staleStatus staleCauses { key { path } reason }
} }
"""
DAYS = """
query days($days: [String!]) { assetNodeOrError(assetKey: {path: ["interactions"]}) { ... on AssetNode {
  staleStatusByPartition(partitions: $days) staleCausesByPartition(partitions: $days) { key { path } reason }
} } }
"""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One state of a project, and a refresh of it.

    The plan before, by `recsys refresh --plan`; the UI before, as it is and once the job `plan` has looked; what was
    built, as the refresh says, as Dagster's event log holds of runs, and as the lake does; what the refresh had to
    report to Dagster besides; the plan and the UI after.
    """

    plan: Said
    ui: Said
    ui_told: Said
    shown: Said
    said: list[str]
    materialized: list[str]
    reported: list[str]
    published: set[str]
    plan_after: Said
    ui_after: Said


def see(project: Project) -> Seen:
    """Ask, refresh, and ask again."""
    before = published_at(project)
    found = project.call(ask_and_refresh).json()
    after = published_at(project)
    return Seen(**found, published={name for name, at in after.items() if before.get(name) != at})


def published_at(project: Project) -> dict[str, float]:
    """When each artifact was last published, to the same bytes or not, by its pointer."""
    return {name: project.manifest(name)["made_at"] for name in project.versions()}


def ask_and_refresh() -> None:
    """Prints all of `Seen` but what the lake holds."""
    # Before the UI loads them, for which Dagster takes the first folder of the path, the project's, away.
    import recsys_assets.definitions  # noqa: F401
    import recsys_core
    from recsys_assets.instance import instance

    assert Path(recsys_core.__file__).is_relative_to(Path.cwd()), "these are not the project's sources"
    with instance() as opened:
        answers: dict[str, Any] = {"ui": ui_says(opened), "plan": command_line("--plan"), "shown": job_plan(opened)}
        answers["ui_told"] = ui_says(opened)
        last = opened.event_log_storage.get_maximum_record_id() or 0
        answers["said"] = command_line()["built"]
        answers |= materialized_since(opened, last)
        answers |= {"plan_after": command_line("--plan"), "ui_after": ui_says(opened)}
    print(json.dumps(answers))  # noqa: T201  # the answer of the process


def command_line(*options: str) -> Any:
    """What `recsys refresh --json` prints with some options more."""
    from recsys_assets.cli import app

    with contextlib.redirect_stdout(io.StringIO()) as out:
        app(["refresh", "--json", *options], standalone_mode=False)
    return json.loads(out.getvalue())


def job_plan(instance: Any) -> Said:
    """What the job `plan` shows in the UI, as a table."""
    from recsys_assets.definitions import defs
    from recsys_assets.runs import QUIET

    done = defs.resolve_job_def("plan").execute_in_process(instance=instance, run_config=QUIET)
    (output,) = (event for event in done.all_events if event.event_type_value == "STEP_OUTPUT")
    table = output.step_output_data.metadata.get("plan")
    rows = [record.data for record in table.records] if table else []
    return {row["asset"]: row["why it would be rebuilt"].split("; ") for row in rows}


def ui_says(instance: Any) -> Said:
    """What the UI marks, by the query that its pages ask, of all assets and of the days that were ingested.

    A day that was never ingested is left out: each day of the calendar is missing until it is.
    """
    from dagster._core.remote_origin import InProcessCodeLocationOrigin
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
    from dagster_graphql.test.utils import execute_dagster_graphql

    days = sorted(instance.get_materialized_partitions(_key("interactions")))
    loaded = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="recsys_assets.definitions"))
    with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(loaded)) as workspace:
        nodes = execute_dagster_graphql(workspace.create_request_context(), NODES).data["assetNodes"]
        log = execute_dagster_graphql(workspace.create_request_context(), DAYS, {"days": days}).data["assetNodeOrError"]
    found = {node["assetKey"]["path"][0]: (node["staleStatus"], node["staleCauses"]) for node in nodes}
    pairs = zip(log["staleStatusByPartition"], log["staleCausesByPartition"], strict=True)
    found |= {f"interactions/{day}": pair for day, pair in zip(days, pairs, strict=True)}
    return {name: _in_words(name, *said) for name, said in found.items() if said[0] != "FRESH"}


def _in_words(name: str, status: str, causes: list[dict[str, Any]]) -> list[str]:
    """Each cause as the UI writes it, with the asset that it is about where that is another one."""
    if status == "MISSING":
        return ["never materialized"]
    about = [(cause["key"]["path"][0], cause["reason"]) for cause in causes]
    own = name.partition("/")[0]
    return sorted(reason if asset == own else f"{asset} {reason}" for asset, reason in about)


def materialized_since(instance: Any, last: int) -> dict[str, list[str]]:
    """The artifacts that Dagster noted as materialized after an event, as often as it did: by runs, and as reported."""
    import dagster as dg

    from recsys_assets.asset_specs import ASSET_SPECS

    found: dict[str, list[str]] = {"materialized": [], "reported": []}
    for name in ASSET_SPECS:
        wanted = dg.AssetRecordsFilter(asset_key=_key(name), after_storage_id=last)
        for record in instance.fetch_materializations(wanted, limit=1000).records:
            key = f"{name}/{record.partition_key}" if record.partition_key else name
            found["materialized" if record.run_id else "reported"].append(key)
    return found


def _key(name: str) -> Any:
    import dagster as dg

    return dg.AssetKey(name)


def make_by_hand(asset: str, day: str, config: str) -> None:
    """What the launchpad does: one asset, with settings or for a day."""
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refresh.runner import RANGE_TAGS
    from recsys_assets.runs import QUIET

    settings = json.loads(config)
    with instance() as opened:
        defs.resolve_job_def("ingest_interactions" if day else "full_refresh").execute_in_process(
            instance=opened,
            asset_selection=[_key(asset)],
            run_config=QUIET | ({"ops": {asset: {"config": settings}}} if settings else {}),
            tags=dict.fromkeys(RANGE_TAGS, day) if day else {},
        )


def restore_another(asset: str) -> None:
    """Set an artifact's pointer to a version that is not the current one."""
    from recsys_assets.resources import lake_root
    from recsys_core.lake.store import Lake

    lake = Lake(lake_root())
    now = lake.verify(asset).version
    lake.restore(asset, next(version for version in lake.versions(asset) if version != now))
