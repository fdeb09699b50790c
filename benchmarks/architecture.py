"""The pictures in `docs/architecture.md`: the graph of the assets as declared, and the packages as they import.

Usage:
    python -m benchmarks.architecture          # write it anew
    python -m benchmarks.architecture --check  # exit with 1 where the page differs

Among packages, an arrow says "imports". It is left out where a longer way leads to the same package, so that the
picture stays legible: whatever can be reached along arrows may be imported.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg

from benchmarks import PROJECT
from benchmarks.generated import text_table, write_or_check, written
from recsys_assets.asset_specs import ASSET_SPECS
from recsys_assets.definitions import defs
from recsys_core import STAGES

PAGE = PROJECT / "docs" / "architecture.md"
COMMAND = "benchmarks.architecture"
PRODUCT = ("recsys_core", "recsys_assets")
GROUPED = "recsys_core"
"""Its loose modules are one box, below everything else. Those of the other lie above and below its packages."""

OUTSIDE = {"source": "data set", "log": "event log"}
"""The sources outside the lake, as the picture calls them."""

SOURCE_OF = {"source": "source", "log": "log", "shown": "log", "served": "log"}
"""Name of an external input of an asset -> its source."""

Arrows = Mapping[str, set[str]]
"""Package -> the packages that it imports."""


def page() -> str:
    """The page as it should be."""
    packages = f"{diagram(without_detours(imports()))}\n\n{table()}"
    return written(PAGE.read_text(encoding="utf-8"), {"graph": graph_block(), "packages": packages}, COMMAND)


def graph_block() -> str:
    """The assets and their dependencies as a Mermaid flowchart, one box per stage."""
    specs = assets_in_order()
    lines = ["```mermaid", "flowchart LR"]
    lines += [f"  {name}[({label})]" for name, label in OUTSIDE.items()]
    for stage in STAGES:
        names = [name_of(spec) for spec in specs if spec.group_name == stage]
        if names:
            lines += [f"  subgraph {stage}", *(f"    {name}" for name in names), "  end"]
    for spec in specs:
        outside = [SOURCE_OF[name] for name in ASSET_SPECS[name_of(spec)].outside]
        lines += [f"  {parent} --> {name_of(spec)}" for parent in [*outside, *parents_of(spec)]]
    return "\n".join([*lines, "```"])


def assets_in_order() -> list[dg.AssetSpec]:
    """What Dagster knows of every asset, in the order of the stages, and of declaration within a stage."""
    declared, stages = list(ASSET_SPECS), list(STAGES)  # modules are imported in an order that depends on the process

    def place(spec: dg.AssetSpec) -> tuple[int, int]:
        return stages.index(str(spec.group_name)), declared.index(name_of(spec))

    return sorted(defs.resolve_all_asset_specs(), key=place)


def parents_of(spec: dg.AssetSpec) -> list[str]:
    """The names of the assets that an asset is made from, in the order of declaration."""
    return [dep.asset_key.to_user_string() for dep in spec.deps]


def name_of(spec: dg.AssetSpec) -> str:
    """The name of an asset in code, lake and UI."""
    return spec.key.to_user_string()


def unit_of(module: str) -> str:
    """The box of a module: the package on the second level of its name, or itself where it lies in none.

    >>> unit_of("recsys_core.ranking.ranker"), unit_of("recsys_core.days"), unit_of("recsys_assets.definitions.defs")
    ('recsys_core.ranking', 'recsys_core', 'recsys_assets.definitions')
    """
    top, _, below = module.partition(".")
    unit = f"{top}.{below.partition('.')[0]}"
    is_package = PROJECT.joinpath(*unit.split(".")).is_dir()
    return unit if below and (is_package or top != GROUPED) else top


def imports() -> dict[str, set[str]]:
    """Which package imports which, by all import statements, those within functions included."""
    found: dict[str, set[str]] = {}
    for product in PRODUCT:
        for path in sorted(set((PROJECT / product).rglob("*.py")) - {PROJECT / product / "__init__.py"}):
            own = unit_of(".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"))
            others = {unit_of(module) for module in _imported(path)}
            found.setdefault(own, set()).update(others - {own})
    return {unit: targets & found.keys() for unit, targets in found.items()}


def without_detours(arrows: Arrows) -> dict[str, set[str]]:
    """The arrows without those whose end can be reached by two or more others."""
    reached = {unit: _reached(unit, arrows) for unit in arrows}
    return {
        unit: {one for one in targets if not any(one in reached[other] for other in targets - {one})}
        for unit, targets in arrows.items()
    }


def diagram(arrows: Arrows) -> str:
    """A Mermaid flowchart, one box per product."""
    lines = ["```mermaid", "flowchart TD"]
    for product in reversed(PRODUCT):
        lines.append(f"  subgraph {product}_box [{product}]")
        lines += [f'    {_id(unit)}["{_label(unit)}"]' for unit in arrows if unit.partition(".")[0] == product]
        lines.append("  end")
    lines += [f"  {_id(unit)} --> {_id(one)}" for unit, targets in arrows.items() for one in sorted(targets)]
    return "\n".join([*lines, "```"])


def table() -> str:
    """A row per package and loose module: how many modules it has, and the first sentence of its docstring."""
    rows = []
    for product in PRODUCT:
        for path in sorted((PROJECT / product).iterdir()):
            if path.suffix == ".py" and path.stem != "__init__":
                rows.append([f"`{product}/{path.name}`", "1", _first_sentence(path)])
            elif (path / "__init__.py").is_file():
                n_modules = sum(found.stem != "__init__" for found in path.rglob("*.py"))
                rows.append([f"`{product}/{path.name}/`", str(n_modules), _first_sentence(path / "__init__.py")])
    return text_table(["package", "modules", "holds"], rows)


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.partition(".")[0] in PRODUCT)


def _reached(unit: str, arrows: Arrows) -> set[str]:
    found: set[str] = set()
    waiting = list(arrows[unit])
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += arrows[one]
    return found


def _id(unit: str) -> str:
    return unit.replace(".", "_")


def _label(unit: str) -> str:
    return unit.partition(".")[2] or "single modules"


def _first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = re.split(r"(?<=[.?])\s", text.partition("\n\n")[0])[0]
    return re.sub(r"^Stage \d, \w+: ", "", first)


if __name__ == "__main__":
    sys.exit(write_or_check({PAGE: page()}, sys.argv[1:], usage=__doc__, command=COMMAND))
