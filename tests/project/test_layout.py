"""One name everywhere: stages in code, assets, checks, import rules, tests and pages."""

import ast
import tomllib
from pathlib import Path

from benchmarks.architecture import assets_in_order
from recsys_assets.resources import PROJECT
from recsys_core import STAGES

CORE = PROJECT / "recsys_core"
MODULES = sorted(path for path in CORE.rglob("*.py") if path.stem != "__init__")

WITHOUT_ASSETS = {"serving": "it answers from the assets of other stages and stores nothing"}

SHARED = {"tables", "pictures", "schemas"}
"""Modules of `recsys_assets/metadata` and `recsys_assets/checks` that the modules of several stages use."""

WITHOUT_TESTS_OF_THEIR_OWN = {
    "evaluation/config.py": "settings; test_docs holds every setting to bounds and reasons",
    "feedback/config.py": "settings; as above",
    "monitoring/config.py": "settings; as above",
    "ranking/config.py": "settings; as above",
    "retrieval/config.py": "settings; as above",
    "evaluation/baselines/config.py": "settings; as above",
    "fingerprint/program.py": "tested through what it leads to: test_reach",
    "schema_errors.py": "tested with the schemas that features declare: test_schemas",
    "serving/requests.py": "plain data without behaviour; test_recommender asks and answers with it",
    "lake/locks.py": "tested through what it guards: test_store, test_drafts, test_garbage_collection",
    "lake/artifact_versions.py": "tested through what it holds: test_store, test_corruption",
}

PURPOSES = ("refresh", "automation", "ui")
"""Packages of `recsys_assets` that are cut by purpose, not by stage."""

WITHOUT_A_MIRROR = {
    "refresh/reconcile": "tested through the refresh that it is part of: test_runner, test_minimal_rerun",
    "automation/jobs": "tested with all that Dagster loads: test_definitions, test_runs",
}
"""Modules of `recsys_assets`, at the top or in PURPOSES, without a test file of their own."""


def test_a_stage_has_package_assets_and_page() -> None:
    wanted = [CORE / stage / "__init__.py" for stage in STAGES]
    wanted += [PROJECT / "docs/stages" / f"{stage}.md" for stage in STAGES]
    of_assets = [stage for stage in STAGES if stage not in WITHOUT_ASSETS]
    wanted += [
        PROJECT / f"recsys_assets/{folder}/{stage}.py" for folder in ("assets", "metadata") for stage in of_assets
    ]
    assert [path for path in wanted if not path.is_file()] == []


def test_there_is_nothing_of_a_stage_that_does_not_exist() -> None:
    for folder, pattern in (
        ("docs/stages", "*.md"),
        ("recsys_assets/assets", "*.py"),
        ("recsys_assets/checks", "*.py"),
        ("recsys_assets/metadata", "*.py"),
    ):
        stems = {path.stem for path in (PROJECT / folder).glob(pattern)} - {"__init__"} - SHARED
        assert stems <= set(STAGES), folder


def test_groups_are_stages() -> None:
    assert {spec.group_name for spec in assets_in_order()} == set(STAGES) - WITHOUT_ASSETS.keys()


def test_the_charter_of_a_stage_says_its_number_and_name() -> None:
    for number, stage in enumerate(STAGES, start=1):
        assert f'"""Stage {number}, {stage}: ' in (CORE / stage / "__init__.py").read_text(encoding="utf-8")


def test_the_import_rules_repeat_the_order_of_the_stages() -> None:
    rules = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(rule["layers"] for rule in rules if rule["type"] == "layers")
    assert [layer for layer in layers if layer in STAGES] == list(reversed(STAGES))


def test_every_module_of_core_has_a_test_file_or_a_reason() -> None:
    inside = {path.relative_to(CORE) for path in MODULES}
    tests = PROJECT / "tests" / "core"
    without = {path.as_posix() for path in inside if not (tests / path.with_name(f"test_{path.name}")).is_file()}
    assert without == WITHOUT_TESTS_OF_THEIR_OWN.keys()


def test_modules_beside_the_stages_have_a_test_file_or_a_reason() -> None:
    assets = PROJECT / "recsys_assets"
    paths = [path for folder in (".", *PURPOSES) for path in (assets / folder).glob("*.py")]
    inside = {path.relative_to(assets).with_suffix("") for path in paths if path.stem != "__init__"}
    without = {
        path.as_posix()
        for path in inside
        if not (PROJECT / "tests/assets" / path.with_name(f"test_{path.name}.py")).is_file()
    }
    assert without == WITHOUT_A_MIRROR.keys()


WITHOUT_QUICK_TESTS = {
    "tests/assets/test_feedback_loop.py": "refreshes of the real data; the steps are tested in test_runner and in core",
    "tests/core/lake/test_crash.py": "hundreds of kills; test_store takes the same steps once",
}
"""Test files, beside those of end_to_end, all of whose tests are slow."""


def test_every_test_file_has_a_quick_test_or_a_reason() -> None:
    """So that `make test` covers every module."""
    files = {path.relative_to(PROJECT).as_posix(): path for path in (PROJECT / "tests").rglob("test_*.py")}
    without = {name for name, path in files.items() if "/end_to_end/" not in name and not _has_a_quick_test(path)}
    assert without == WITHOUT_QUICK_TESTS.keys()


def _has_a_quick_test(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if "pytest.mark.slow" in {ast.unparse(node.value) for node in tree.body if isinstance(node, ast.Assign)}:
        return False
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return any("pytest.mark.slow" not in map(ast.unparse, test.decorator_list) for test in tests)
