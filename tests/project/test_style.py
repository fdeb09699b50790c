"""The code keeps the style: sizes, docstrings, types, no trace of one machine."""

import ast
import hashlib
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

from recsys_assets.resources import PROJECT

PACKAGES = ("recsys_core", "recsys_assets", "benchmarks")
MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 400, 40, 6
MODULES = sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef

MACHINE_PATH = re.compile(r"(?<![\w./-])/(work|root|home|tmp|Users)/\w")
"""A path that exists on one machine only. Tests name a folder of pytest's own instead."""

REGISTRY_HOST = re.compile(r"pypi\.org|pythonhosted\.org|download\.pytorch\.org")
"""Which index pip asks is a matter of each machine."""


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def code_lines(source: str) -> set[int]:
    """Numbers of the lines that hold code: no blank line, no comment, no string that stands alone."""
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in quiet]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    texts = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    alone = [node for node in texts if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)]
    return lines - {line for node in alone for line in range(node.lineno, (node.end_lineno or 0) + 1)}


def public(tree: ast.Module) -> Iterator[Function]:
    """Functions of a module and methods of its classes that do not begin with an underscore."""
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))]
    for scope in scopes:
        found = (node for node in scope.body if isinstance(node, Function))
        yield from (node for node in found if not node.name.startswith("_"))


def too_large(path: Path, source: str) -> Iterator[str]:
    if len(source.splitlines()) > MAX_MODULE_LINES:
        yield f"{name_of(path)} is too long"
    lines = code_lines(source)
    for function in functions(ast.parse(source)):
        n_lines = len(lines & set(range(function.lineno, (function.end_lineno or 0) + 1)))
        if n_lines > MAX_FUNCTION_LINES:
            yield f"{name_of(path)}: {function.name} has {n_lines} lines"
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        n_given = len([one for one in arguments if one.arg not in {"self", "cls"}])
        is_command = path.parent.name == "cli"  # whose parameters are its options, as many as users want
        is_declaration = name_of(path) == "recsys_core/features/feature.py" and function.name == "feature"
        if n_given > MAX_PARAMETERS and not is_command and not is_declaration:
            yield f"{name_of(path)}: {function.name} takes {n_given}"


def undocumented(path: Path, source: str) -> Iterator[str]:
    tree = ast.parse(source)
    if tree.body and not ast.get_docstring(tree):
        yield f"{name_of(path)} has no charter"
    for function in public(tree):
        if not ast.get_docstring(function):
            yield f"{name_of(path)}: {function.name} has no docstring"
        if function.returns is None:
            yield f"{name_of(path)}: {function.name} does not say what it returns"
        arguments = [*function.args.args, *function.args.kwonlyargs]
        untyped = [one.arg for one in arguments if one.annotation is None and one.arg not in {"self", "cls"}]
        if untyped:
            yield f"{name_of(path)}: {function.name} has untyped parameters {untyped}"


def faults(rule: Callable[[Path, str], Iterator[str]]) -> list[str]:
    return [fault for path in MODULES for fault in rule(path, path.read_text(encoding="utf-8"))]


def test_sizes_stay_within_the_limits() -> None:
    assert faults(too_large) == []


def test_everything_public_is_documented_and_typed() -> None:
    assert faults(undocumented) == []


def test_core_never_names_the_orchestrator() -> None:
    for path in (PROJECT / "recsys_core").rglob("*.py"):
        imported = re.findall(r"^\s*(?:import|from) (dagster|recsys_assets)\b", path.read_text(encoding="utf-8"), re.M)
        assert not imported, name_of(path)


def test_only_one_module_reads_the_environment() -> None:
    readers = {name_of(path) for path in MODULES if re.search(r"environ\.get\(|getenv\(", path.read_text("utf-8"))}
    assert readers <= {"recsys_assets/resources.py"}


def test_no_module_is_called_after_nothing() -> None:
    assert not [path for path in MODULES if path.stem in {"utils", "helpers", "common", "misc", "base"}]


def test_no_file_names_a_machine_or_a_registry(tracked: list[Path]) -> None:
    found = []
    for path in tracked:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # pictures, the data set
            continue
        found += [f"{name_of(path)}: {text[hit.start() : hit.end() + 20]!r}" for hit in MACHINE_PATH.finditer(text)]
        found += [f"{name_of(path)}: {hit[0]}" for hit in REGISTRY_HOST.finditer(text)]
    assert not found


def test_lines_of_code_are_counted_without_texts_and_comments() -> None:
    source = '"""Text."""\n\n# why\ndef f() -> int:\n    """Doc\n\n    more."""\n    return (\n        1\n    )\n'
    assert code_lines(source) == {4, 8, 9, 10}


def test_the_shipped_data_set_is_the_pinned_one(tracked: list[Path]) -> None:
    from recsys_core.data.movielens.sources import EMBEDDED, SOURCES

    path = PROJECT / "data_lake" / "raw" / f"{EMBEDDED}.zip"
    assert path in tracked
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SOURCES[EMBEDDED].sha256


def test_nothing_made_is_kept_in_git(tracked: list[Path]) -> None:
    kept = {name_of(path) for path in tracked if path.is_relative_to(PROJECT / "data_lake")}
    allowed = {"data_lake/raw/README.md", "data_lake/raw/ml-latest-small-2016.zip"}
    assert kept <= allowed
    assert not [path for path in tracked if path.suffix in {".ipynb", ".pyc", ".pkl", ".pickle"}]
