"""What Dagster is told: every asset described, in its stage's group, and loaded without the heavy libraries."""

import json
import os
import subprocess
import sys

import dagster as dg
import pytest

from recsys_assets.asset_specs import ASSET_SPECS
from recsys_assets.automation.jobs import STAGE_JOBS
from recsys_assets.definitions import STAGE_MODULES, defs
from recsys_assets.runs import SCOPE_TAG
from recsys_core import STAGES
from tests.assets.refresh.test_planner import PARENTS

GRAPH = defs.resolve_asset_graph()
NODES = {key.to_user_string(): GRAPH.get(key) for key in GRAPH.get_all_asset_keys()}


@pytest.mark.slow
def test_loading_imports_none_of_the_heavy_libraries() -> None:
    heavy = ("torch", "faiss", "xgboost", "matplotlib", "scipy")
    code = f"import sys, json, recsys_assets.definitions; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.slow
def test_the_bytes_of_artifacts_do_not_depend_on_the_number_of_cores() -> None:
    """Linear algebra runs on one thread, whatever the environment says: sums of floats depend on their order."""
    code = (
        "import recsys_assets.definitions, numpy, threadpoolctl;"
        "print([pool['num_threads'] for pool in threadpoolctl.threadpool_info()])"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    counts = json.loads(done.stdout)
    assert counts
    assert set(counts) == {1}


def test_the_graph_is_the_one_that_is_written_down() -> None:
    edges = {name: {key.to_user_string() for key in node.parent_keys} for name, node in NODES.items()}
    assert edges == {name: set(parents) for name, parents in PARENTS.items()} | {
        "interactions": set(),
        "interaction_log_head": {"interactions"},
    }


def test_the_planner_and_dagster_know_the_same_parents() -> None:
    assert {name: set(spec.parents) for name, spec in ASSET_SPECS.items()} == {
        name: {key.to_user_string() for key in node.parent_keys} for name, node in NODES.items()
    }


@pytest.mark.parametrize("name", sorted(NODES))
def test_an_asset_says_what_it_is(name: str) -> None:
    node = NODES[name]
    stage = ASSET_SPECS[name].stage
    assert node.group_name == stage
    assert node.tags["stage"] == stage
    assert len(node.description or "") > 40
    assert (node.description or "").split("\n")[0].endswith((".", ":"))
    assert node.kinds
    assert node.owners == ["team:recsys"]
    spec = ASSET_SPECS[name]
    assert node.code_version == spec.code_version(spec.parameters(), spec.library_versions())


def test_the_stages_come_in_their_order() -> None:
    modules = [module.__name__.rsplit(".", 1)[-1] for module in STAGE_MODULES]
    assert modules == [stage for stage in STAGES if stage in modules]
    assert {node.group_name for node in NODES.values()} == set(modules)


def test_no_asset_reads_one_of_a_later_stage() -> None:
    order = {stage: place for place, stage in enumerate(STAGES)}
    # The feedback loop closes through time, never by an edge; what was logged is data like the shipped ratings, and
    # the chain of windows ends after the latest click.
    late = {
        (name, parent)
        for name, spec in ASSET_SPECS.items()
        for parent in spec.parents
        if order[ASSET_SPECS[parent].stage] > order[spec.stage]
    }
    assert late == {("ratings", "interaction_log_head"), ("splits", "interaction_log_head")}


def test_every_check_says_what_must_hold() -> None:
    for key in GRAPH.asset_check_keys:
        assert len(GRAPH.get(key).description or "") > 40, key


def test_each_stage_with_models_or_data_has_a_blocking_check() -> None:
    blocking = {key.asset_key.to_user_string() for key in GRAPH.asset_check_keys if GRAPH.get(key).blocking}
    assert {"ratings", "splits", "two_tower", "faiss_index", "ranking_examples", "eval_report"} <= blocking


def covered(job: str) -> set[str]:
    """The assets that a job builds."""
    return {key.to_user_string() for key in defs.resolve_job_def(job).asset_layer.executable_asset_keys}


def test_jobs_cover_the_graph() -> None:
    assert covered("ingest_interactions") == {"interactions"}
    assert covered("full_refresh") == NODES.keys() - {"interactions"}


@pytest.mark.parametrize(("job", "stage"), STAGE_JOBS.items())
def test_a_job_of_a_stage_builds_its_assets(job: str, stage: str) -> None:
    group = {name for name, node in NODES.items() if node.group_name == stage}
    assert covered(job) == group != set()


def test_every_job_says_what_it_does_and_how_much_it_covers() -> None:
    jobs = [job for job in defs.resolve_all_job_defs() if not job.name.startswith("__")]
    assert {"refresh", "full_refresh", "ingest_interactions", "features_only"} <= {job.name for job in jobs}
    for job in jobs:
        assert len(job.description or "") > 40, job.name
        assert SCOPE_TAG in job.tags | job.run_tags, job.name


def test_no_job_prints_dagsters_own_lines_into_the_terminal_of_the_ui() -> None:
    for job in defs.resolve_all_job_defs():
        assert job.loggers["console"].config_schema.default_value["log_level"] == "CRITICAL", job.name


def test_definitions_are_sound() -> None:
    dg.Definitions.validate_loadable(defs)
