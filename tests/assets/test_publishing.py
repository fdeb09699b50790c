"""What a run tells Dagster and the lake, and that both then judge alike."""

import json

import pytest

from tests.assets.projects import Project
from tests.assets.test_planning import certain, click, write_log
from tests.assets.test_refreshing import change


def print_stale() -> None:
    """What Dagster holds stale, and why, by its own reckoning: {asset: [causes]}."""
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance

    graph = defs.resolve_asset_graph()
    with instance() as dagster:
        resolver = CachingStaleStatusResolver(dagster, graph, LoadingContextForTest(dagster))
        keys = [key for key in graph.get_all_asset_keys() if not graph.get(key).is_partitioned]
        stale = {
            key.to_user_string(): [cause.reason for cause in resolver.get_stale_causes(key)]
            for key in keys
            if resolver.get_status(key).value != "FRESH"
        }
    print(json.dumps(stale))  # noqa: T201  # the answer of the process


def materialize(asset: str, config: str) -> None:
    """What the launchpad does: one asset with a run config of its own."""
    import dagster as dg

    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance

    with instance() as dagster:
        defs.resolve_job_def("full_refresh").execute_in_process(
            instance=dagster,
            asset_selection=[dg.AssetKey(asset)],
            run_config={"ops": {asset: {"config": json.loads(config)}}},
        )


def print_materializations() -> None:
    """How many materializations Dagster holds of each asset, and the data version of the latest."""
    from dagster._core.definitions.data_version import extract_data_version_from_entry

    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance

    with instance() as dagster:
        counted = {}
        for key in defs.resolve_asset_graph().get_all_asset_keys():
            entries = dagster.fetch_materializations(key, limit=100).records
            version = extract_data_version_from_entry(entries[0].event_log_entry) if entries else None
            counted[key.to_user_string()] = (len(entries), version.value if version else None)
    print(json.dumps(counted))  # noqa: T201


def test_dagster_knows_each_artifact_by_its_content_hash(project: Project) -> None:
    counted = project.call(print_materializations).json()
    assert counted.pop("interactions") == [0, None]
    assert counted == {name: [1, version] for name, version in project.versions().items()}


@pytest.mark.slow
def test_dagster_and_the_planner_hold_the_same_stale(project: Project) -> None:
    assert project.call(print_stale).json() == {}
    assert project.plan() == {}
    change(project, "ranker", n_rounds=11)
    assert project.call(print_stale).json() == {"ranker": ["has a new code version"]}
    assert list(certain(project.plan())) == ["ranker"]
    project.refresh()
    assert project.call(print_stale).json() == {}


def test_what_the_planner_sees_and_dagster_does_not(project: Project) -> None:
    """Dagster judges by its event log: it looks neither at the log's folder nor at the stored files.

    So `recsys refresh`, not the UI's "Materialize unsynced", is what to trust after new days and after damage.
    """
    write_log(project, [click()])
    folder = project.folder("ranker")
    folder.rename(folder.with_name("away"))
    assert project.call(print_stale).json() == {}
    plan = project.plan()
    assert plan["interactions/2016-10-18"] == ["missing"]
    assert plan["ranker"][0] == "damaged"


def test_settings_from_the_launchpad_are_recorded_and_seen_as_a_difference(project: Project) -> None:
    assert project.call(materialize, "ranker", json.dumps({"n_rounds": 7})).code == 0
    assert project.manifest("ranker")["lineage"]["parameters"]["n_rounds"] == 7
    plan = project.plan()
    assert plan["ranker"] == ["parameters changed: n_rounds: 7 -> 10"]
    assert plan["ranking_report"] == ["input ranker changed", "waits for: ranker"]
    by_dagster = project.call(print_stale).json()
    assert by_dagster["ranker"] == ["has a new code version"], (
        "its materialization carries the code version of 7 rounds"
    )
    assert by_dagster.keys() == certain(plan).keys()


def test_the_launchpad_refuses_what_is_out_of_bounds(project: Project) -> None:
    answer = project.call(materialize, "ranker", json.dumps({"n_rounds": 0}))
    assert answer.code != 0
    assert "greater than or equal to" in answer.err
    assert project.plan() == {}


def read_undeclared() -> None:
    """An asset that reads what it does not declare."""
    import dagster as dg

    from recsys_assets import recipes
    from recsys_assets.publishing import AssetRun
    from recsys_assets.resources import LakeResource, lake_root
    from recsys_core.errors import ArtifactError

    lake = LakeResource(root=str(lake_root()))
    import recsys_assets.definitions  # noqa: F401

    recipes.RECIPES["sneaky"] = recipes.RECIPES["movies"]

    @dg.asset
    def sneaky(context: dg.AssetExecutionContext) -> None:
        run = AssetRun(context, lake)
        for read in (("ratings", None), ("interactions", "2016-10-18")):
            try:
                run.folder(*read)
            except ArtifactError as refused:
                print(refused)  # noqa: T201

    dg.materialize([sneaky], run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}})


def test_an_asset_cannot_read_what_it_does_not_declare(project: Project) -> None:
    answer = project.call(read_undeclared)
    assert answer.out.splitlines() == [
        f"movies reads {name} without declaring it: add it to its deps" for name in ("ratings", "interactions")
    ]
