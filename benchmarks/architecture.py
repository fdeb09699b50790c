"""The picture of the packages in `docs/architecture.md`, drawn from the imports in the code.

Usage:
    python -m benchmarks.architecture          # write it anew
    python -m benchmarks.architecture --check  # exit with 1 where the page differs

An arrow says "imports". It is left out where a longer way leads to the same package, so that the picture stays legible:
whatever can be reached along arrows may be imported.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import PROJECT
from benchmarks.generated import settle, written
from recsys_core.evaluation.rendering import markdown_table

PAGE = PROJECT / "docs" / "architecture.md"
COMMAND = "benchmarks.architecture"
PRODUCT = ("recsys_core", "recsys_assets")
GROUPED = "recsys_core"
"""Its loose modules are one box, below everything else. Those of the other lie above and below its packages."""

EMPTY = {"recsys_assets"}
"""Has no modules in its own box, only an `__init__` for all of them."""

Arrows = Mapping[str, set[str]]
"""Package -> the packages that it imports."""


def page() -> str:
    """The page as it should be."""
    arrows = without_detours(imports())
    return written(PAGE.read_text(encoding="utf-8"), {"packages": f"{diagram(arrows)}\n\n{table()}"}, COMMAND)


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
        for path in sorted((PROJECT / product).rglob("*.py")):
            own = unit_of(".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"))
            others = {unit_of(module) for module in _imported(path)}
            found.setdefault(own, set()).update(others - {own})
    return {unit: targets - EMPTY for unit, targets in found.items() if unit not in EMPTY}


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
    return markdown_table(["package", "modules", "holds"], rows).replace("---:", "---")


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
    return re.sub(r"^Stage \d, \w+: ", "", text.partition("\n\n")[0].replace("\n", " "))


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit status."""
    differing, only_check = settle({PAGE: page()}, check="--check" in arguments), "--check" in arguments
    if not differing:
        print("the picture is up to date")
    elif only_check:
        print(f"{PAGE.name}: differs from the imports in the code; run python -m {COMMAND}")
    else:
        print(f"written: {PAGE.name}")
    return 1 if differing and only_check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
