"""What a run tells Dagster and the lake, and that both then judge alike."""

import json

import pytest

from recsys_assets.publishing import display_metadata, rounded
from tests.assets.edits import DECLARING_MOVIES
from tests.assets.projects import Project


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
def test_a_dependency_that_is_not_read_is_refused(project: Project) -> None:
    """Its version would be missing in the lineage, so that the asset would be out of date for ever."""
    before = project.versions()
    DECLARING_MOVIES(project)
    assert "faiss_index declares movies without reading it: drop it from its deps" in project.recsys("refresh").sentence
    assert project.versions() == before


@pytest.mark.slow
def test_the_launchpad_refuses_what_is_out_of_bounds(project: Project) -> None:
    answer = project.call(materialize, "ranker", json.dumps({"n_rounds": 0}))
    assert answer.code != 0
    assert "greater than or equal to" in answer.err
    assert project.plan() == {}


def read_undeclared() -> None:
    """An asset that reads what it does not declare."""
    import dagster as dg

    from recsys_assets import asset_specs
    from recsys_assets.publishing import AssetRun
    from recsys_assets.resources import LakeResource, lake_root
    from recsys_core.errors import ArtifactError

    lake = LakeResource(root=str(lake_root()))
    import recsys_assets.definitions  # noqa: F401

    asset_specs.ASSET_SPECS["sneaky"] = asset_specs.ASSET_SPECS["movies"]

    @dg.asset
    def sneaky(context: dg.AssetExecutionContext) -> None:
        run = AssetRun(context, lake)
        for read in (("ratings", None), ("interactions", "2016-10-18")):
            try:
                run.folder(*read)
            except ArtifactError as refused:
                print(refused)  # noqa: T201

    dg.materialize([sneaky], run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}})


@pytest.mark.slow
def test_an_asset_cannot_read_what_it_does_not_declare(project: Project) -> None:
    answer = project.call(read_undeclared)
    assert answer.out.splitlines() == [
        f"movies reads {name} without declaring it: add it to its deps" for name in ("ratings", "interactions")
    ]


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (0.17953216783, 0.1795),
        (-0.000123456, -0.0001235),
        (12345.678, 12345.7),
        (0.0, 0.0),
        (7, 7),
        ("0.123456", "0.123456"),
    ],
)
def test_a_float_has_four_digits_that_count(value: object, seen: object) -> None:
    assert rounded(value) == seen
    assert isinstance(rounded(value), type(value))


def test_numbers_of_other_settings_are_lines_of_their_own_in_the_plots() -> None:
    metadata = {"ndcg@10": 0.123456, "n_users": 3, "dagster/row_count": 5, "results": "| a |"}
    assert display_metadata(metadata, "") == {
        "ndcg@10": 0.1235,
        "n_users": 3,
        "dagster/row_count": 5,
        "results": "| a |",
    }
    assert list(display_metadata(metadata, "trial")) == [
        "ndcg@10 (trial)",
        "n_users (trial)",
        "dagster/row_count",
        "results",
    ]
