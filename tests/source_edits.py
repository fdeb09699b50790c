"""Changes of the project's sources for the time of a test: addressed by definition, matched on the syntax tree.

The code to change is named by the Python object that it defines, so that renames and moves carry the change along, and
what to replace is compared as Python, so that formatting and comments do not matter.
"""

import ast
import compileall
import inspect
import py_compile
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TypeAlias

Scope: TypeAlias = ast.AST
Place: TypeAlias = list[ast.stmt] | list[ast.expr]

WRAPPED = [
    attrgetter(name) for name in ("__wrapped__", "__func__", "fget", "func", "function", "op.compute_fn.decorated_fn")
]
"""Where decorators keep the function: of functools, methods, properties, cached properties, features, Dagster."""


REPOSITORY = Path(__file__).resolve().parents[1]


def copy_packages(names: Iterable[str], root: Path) -> None:
    """Copy packages of the checkout to below `root`, with their compiled files, so that processes need not compile.

    The compiled files are valid by the hash of their source: an edit within the same second and of the same length
    would go unnoticed by the clock.
    """
    for name in names:
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(root / name, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def edit(root: Path, where: object, before: str, after: str) -> str:
    """Change one place in the copy of the sources below `root`.

    Args:
        root: the folder that holds the packages.
        where: the function, method, property, class, module, asset or check that holds the place, as an object; or
            (module, name) for a constant at the top of a module.
        before: an expression, or statements that follow each other, that stand there exactly once. Line breaks,
            comments, quotes and trailing commas do not matter.
        after: an expression in place of an expression, or statements; "" deletes statements, `*()` an element of a
            list. Comments in it are kept.

    Returns:
        The whole text of the file as it was.
    """
    path = root / file_of(where)
    text = path.read_text(encoding="utf-8")
    path.write_text(edited(text, where, before, after), encoding="utf-8")
    return text


def append(root: Path, module: ModuleType, statement: str) -> str:
    """Add a statement at the end of a module; returns its text as it was."""
    path = root / file_of(module)
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\n\n{statement}\n", encoding="utf-8")
    return text


def file_of(where: object) -> str:
    """The file of a definition, relative to the folder that holds the packages."""
    module, _ = _address(where)
    is_package = hasattr(sys.modules[module], "__path__")
    return module.replace(".", "/") + ("/__init__.py" if is_package else ".py")


def name_of(where: object) -> str:
    """The name of a definition within its module; "" for a module."""
    return _address(where)[1]


def edited(text: str, where: object, before: str, after: str) -> str:
    """The text of the file of a definition with the change of `edit` in it."""
    replaced, parts = _parsed(before), _parsed(after)
    name = name_of(where)
    scope = _definition(ast.parse(text), name)
    is_expression = _is_expression(replaced) and _is_expression(parts)
    found: list[Place] = [*(_expressions(scope, replaced) if is_expression else _statements(scope, replaced))]
    assert len(found) == 1, (
        f"{before!r} stands {len(found)} times in {name or 'the module'} of {file_of(where)}, and must stand there "
        "once: the code moved on, so move this change with it"
    )
    new = _as_expression(after) if is_expression else _as_statements(after, found[0][0].col_offset)
    changed = _spliced(text, found[0], new)
    _parsed(changed)
    assert changed != text, f"{before!r} is replaced by itself"
    return changed


def _address(where: object) -> tuple[str, str]:
    """The module of a definition and its name there, with dots."""
    if isinstance(where, ModuleType):
        return where.__name__, ""
    if isinstance(where, tuple):
        module, name = where
        return module.__name__, name
    while not isinstance(where, FunctionType | type):
        where = _wrapped(where)
    defined = inspect.unwrap(where)
    return defined.__module__, defined.__qualname__.replace(".<locals>", "")


def _wrapped(where: object) -> object:
    for function_of in WRAPPED:
        try:
            return function_of(where)
        except AttributeError:
            continue
    raise AssertionError(f"{where!r} is no definition: name a function, method, class, module or (module, constant)")


def _definition(tree: ast.Module, name: str) -> Scope:
    """The only definition of this name."""
    scope: Scope = tree
    for part in name.split(".") if name else ():
        found = list(_bound(scope, part))
        assert len(found) == 1, f"{name} is defined {len(found)} times"
        scope = found[0]
    return scope


def _bound(scope: Scope, name: str) -> Iterator[Scope]:
    """The statements of a scope, without the scopes in it, that define or assign a name."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name == name:
                yield node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield node
        else:
            yield from _bound(node, name)


def _parsed(code: str) -> list[ast.stmt]:
    try:
        return ast.parse(textwrap.dedent(code)).body
    except SyntaxError as fault:
        raise AssertionError(f"no Python ({fault.msg}): {fault.text}") from fault


def _is_expression(statements: list[ast.stmt]) -> bool:
    return len(statements) == 1 and isinstance(statements[0], ast.Expr)


def _expressions(scope: Scope, wanted: list[ast.stmt]) -> Iterator[list[ast.expr]]:
    (statement,) = wanted
    assert isinstance(statement, ast.Expr)
    same = ast.dump(statement.value)
    return ([node] for node in _walk(scope) if isinstance(node, ast.expr) and ast.dump(node) == same)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those in f-strings, which Python 3.11 does not place."""
    yield node
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from _walk(child)


def _statements(scope: Scope, wanted: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """The runs of statements that are the same as those wanted."""
    assert wanted, "nothing to replace"
    same = [ast.dump(one) for one in wanted]
    for node in _walk(scope):
        for _, block in ast.iter_fields(node):
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                runs = (block[at : at + len(same)] for at in range(len(block) - len(same) + 1))
                yield from (run for run in runs if [ast.dump(one) for one in run] == same)


def _as_expression(after: str) -> str:
    code = textwrap.dedent(after).strip()
    return code if code.startswith("*") else f"({code})"


def _as_statements(after: str, indent: int) -> str:
    return textwrap.indent(textwrap.dedent(after).strip() or "pass", " " * indent).lstrip()


def _spliced(text: str, place: Place, new: str) -> str:
    """The text with another one where these nodes stand."""
    source = text.encode()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    first, last = place[0], place[-1]
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    line = min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", ()))])
    start, end = starts[line - 1] + first.col_offset, starts[last.end_lineno - 1] + last.end_col_offset
    return (source[:start] + new.encode() + source[end:]).decode()
