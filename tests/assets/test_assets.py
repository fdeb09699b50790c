"""The assets are thin, read what they declare, and leave the test's targets alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_assets import definitions  # noqa: F401  # declares the assets, which fills ASSET_SPECS
from recsys_assets.asset_specs import ASSET_SPECS
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import below
from tests.conftest import Built
from tests.source_edits import REPOSITORY

MODULES = sorted((REPOSITORY / "recsys_assets" / "assets").glob("[a-z]*.py"))
EXAMS = ["window_2", "window_3", "window_4", "test"]
"""Windows of the smoke settings that examine."""

MOST_STATEMENTS = 10
"""As the guide has it; imports and the docstring do not count."""


def assets() -> Iterator[tuple[Path, ast.FunctionDef]]:
    """Every asset function."""
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                yield path, node


FUNCTIONS = {function.name: (path, function) for path, function in assets()}


def test_each_function_of_these_modules_is_an_asset_of_its_stage() -> None:
    assert {name: path.stem for name, (path, _) in FUNCTIONS.items()} == {
        name: spec.stage for name, spec in ASSET_SPECS.items()
    }


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_an_asset_computes_nothing_itself(name: str) -> None:
    function = FUNCTIONS[name][1]
    body = [one for one in function.body if not isinstance(one, ast.ImportFrom | ast.Import)][1:]
    assert len(body) <= MOST_STATEMENTS
    logic = (ast.For, ast.While, ast.If, ast.Try, ast.With, ast.Lambda, ast.FunctionDef, ast.ClassDef)
    nodes = [node for one in body for node in ast.walk(one) if isinstance(node, logic)]
    assert not [node for node in nodes if not _opens_the_log(node)]


def _opens_the_log(node: ast.AST) -> bool:
    """To open it and to let go of it is reading an input."""
    return isinstance(node, ast.With) and [ast.unparse(one.context_expr) for one in node.items] == ["lake.open_log()"]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_an_asset_names_no_other_asset_of_its_module(name: str) -> None:
    """A variable called like one would count as using it: the version would then follow the other's code."""
    path, function = FUNCTIONS[name]
    others = {other for other, (where, _) in FUNCTIONS.items() if where == path} - {name}
    assert not others & {node.id for one in function.body for node in ast.walk(one) if isinstance(node, ast.Name)}


def test_the_heavy_libraries_are_imported_within_the_assets() -> None:
    for path in (REPOSITORY / "recsys_assets").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"torch", "faiss", "xgboost", "matplotlib"}, path


def test_nothing_that_tunes_opens_the_test_targets() -> None:
    """Pitfall 25: what tunes or stops by the test's answers reports them, not itself."""
    asking = set()
    for path in [*(REPOSITORY / "recsys_core").rglob("*.py"), *(REPOSITORY / "recsys_assets").rglob("*.py")]:
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                asked = any(keyword.arg == "with_test_targets" for call in calls for keyword in call.keywords)
                asking |= {function.name} if asked else set()
    # The check compares times and users; nothing of it reaches a model. From the examples only the ranker that serves
    # learns the test's answers; the test below holds that fast.
    assert asking == {"eval_report", "ranking_examples", "no_slice_knows_its_future"}
    naming = [
        path.name for path in (REPOSITORY / "recsys_core").rglob("*.py") if "test_targets.parquet" in path.read_text()
    ]
    assert naming == ["splits.py"]


def test_lineage_names_exactly_the_declared_inputs(built: Built) -> None:
    for name, spec in ASSET_SPECS.items():
        if name == "interactions":  # there is no day yet
            continue
        inputs = built.project.manifest(name)["lineage"]["inputs"].keys()
        assert inputs == {*spec.parents, *spec.outside} - {"interactions"}, name


def test_lineage_holds_the_versions_parameters_libraries_and_times(built: Built) -> None:
    versions = built.project.versions()
    for name in versions:
        lineage = built.project.manifest(name)["lineage"]
        assert all(versions.get(parent, version) == version for parent, version in lineage["inputs"].items())
        assert lineage["libraries"].keys() == set(ASSET_SPECS[name].libraries)
        assert lineage["parameters"].keys() == ASSET_SPECS[name].parameters().keys()
    ratings = built.project.manifest("ratings")["lineage"]
    assert (ratings["data_from"], ratings["data_until"]) == (789_652_009, 1_476_640_644)
    learned = built.project.manifest("two_tower")["lineage"]
    assert learned["data_until"] == ratings["data_until"], "what serves has learned everything"


def test_nothing_stored_can_run_code(built: Built) -> None:
    endings = {path.suffix for path in (built.project.lake / "artifacts").rglob("*") if path.is_file()}
    assert endings <= {".parquet", ".npy", ".json", ".safetensors", ".faiss", ".ubj", ""}


@pytest.mark.slow
def test_nothing_that_is_examined_moves_when_the_test_targets_do(project: Project) -> None:
    """The same pitfall from outside: other targets, and only the ranker that serves learns from them."""
    before, ranker = project.versions(), project.folder("ranker")
    assert project.call(halve_the_test_targets).code == 0
    built = project.refresh()
    after = project.versions()
    moved = {name for name in after if after[name] != before[name]}
    assert {"splits", "ranking_examples", "ranker", "eval_report"} <= moved
    assert moved <= {"splits", "ranking_examples"} | below("ranking_examples") - {"ranking_report"}
    assert {"two_tower", "baselines"} <= set(built) - moved
    files = [path.relative_to(ranker) for path in sorted(ranker.rglob("examined_*/*"))]
    assert len({file.parent for file in files}) == len(EXAMS)
    assert all((project.folder("ranker") / file).read_bytes() == (ranker / file).read_bytes() for file in files)


def halve_the_test_targets() -> None:
    """Publish splits with fewer answers for the same users, as if the code had made them so."""
    from pathlib import Path

    import polars as pl

    from recsys_assets.resources import lake_root
    from recsys_core.data.splits import Splits
    from recsys_core.lake.store import Lake
    from recsys_core.tables import read_table, write_table

    lake = Lake(lake_root())
    now, folder = lake.verify("splits"), lake.open("splits")

    def write(into: Path) -> None:
        Splits.load(folder).save(into)
        targets = read_table(folder / "test_targets.parquet")
        write_table(targets.filter(pl.int_range(pl.len()).over("user_id") % 2 == 0), into / "test_targets.parquet")

    made = lake.current("splits") or now
    lake.publish("splits", write, made.lineage)
