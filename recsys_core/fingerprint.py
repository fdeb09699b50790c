"""The version of a piece of code: what it does, not how it is written.

A function's version hashes everything of ours that can change its result: its own syntax tree and that of the helpers
beside it, every module that they reach by imports, their parameters, and the versions of the libraries. Comments,
formatting, docstrings and description texts do not count. Sources are read and parsed, never imported, so that
definitions load fast.

Modules named `config` are left out, since what they do is set values, and the values in force are the parameters.

Not seen: modules imported by a computed name, data files, and, in the function's own module, statements that bind no
name which the function uses. The sources count as they are on the disk, not as a running process loaded them.
"""

import ast
import copy
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

OURS = ("recsys_core",)
_LEFT_OUT = "config"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Import:
    """One imported name."""

    base: str
    name: str | None  # what is taken from the base; None for a plain `import base`
    bound: str  # the name under which the importing module knows it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A parsed module without what does not count."""

    digest: str
    imports: tuple[_Import, ...]  # all, those inside functions included
    outer_imports: tuple[_Import, ...]  # those that bind a name in the whole module
    bindings: Mapping[str, tuple[ast.stmt, ...]]  # module-level name -> the statements that bind it
    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Root:
    """A function as its own module defines it: its statements and helpers, and the imports that they use."""

    digest: str
    imports: tuple[_Import, ...]


def code_version(
    function: Callable[..., object],
    *,
    packages: Sequence[str] = OURS,
    parameters: Mapping[str, object],
    libraries: Sequence[str],
) -> str:
    """The version of a function's behaviour: 16 hexadecimal digits.

    Args:
        function: A function, or a method (then its whole class counts), defined in a file.
        packages: Modules below these are followed; all others count by the versions of `libraries` alone.
        parameters: Effective settings, as JSON can hold them; the order of the keys does not count.
        libraries: Distributions whose version can change the result.

    Raises:
        ValueError: The function's source cannot be found, as for one typed into a shell.
        TypeError: A parameter is nothing that JSON can hold.
    """
    root = _root_of(function)
    content = {
        "function": root.digest,
        "modules": _closure(root.imports, packages),
        "parameters": dict(parameters),
        "libraries": {name: library_version(name) for name in libraries},
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def module_closure(target: Callable[..., object] | str, *, packages: Sequence[str] = OURS) -> tuple[str, ...]:
    """The modules whose change would change the version of a function, or of all of a module; for explanations.

    Raises:
        ValueError: The source cannot be found.
    """
    if not isinstance(target, str):
        return tuple(_closure(_root_of(target).imports, packages))
    path = _module_file(target)
    if path is None:
        raise ValueError(f"there is no module {target} with a source file")
    return tuple(sorted({target, *_closure(_source(path, target).imports, packages)}))


def _closure(imports: Iterable[_Import], packages: Sequence[str]) -> dict[str, str]:
    """Name and digest of each module reached, sorted by name.

    A package that merely lies on the way to a module runs its `__init__` too, so that counts; but what it imports is
    not followed, as nobody asked for the names that it passes on.
    """
    found: dict[str, str] = {}
    waiting = [module for one in imports for module in _modules_of(one, packages)]
    done: set[str] = set()
    while waiting:
        module = waiting.pop()
        path = None if module in done or module.rpartition(".")[2] == _LEFT_OUT else _module_file(module)
        done.add(module)
        if path is None:
            continue
        source = _source(path, module)
        found[module] = source.digest
        waiting += (further for one in source.imports for further in _modules_of(one, packages))
        found.update(_packages_above(module))
    return dict(sorted(found.items()))


def _packages_above(module: str) -> Iterator[tuple[str, str]]:
    """Name and digest of the packages in which a module lies."""
    while package := module.rpartition(".")[0]:
        path = _module_file(package)
        if path is not None:
            yield package, _source(path, package).digest
        module = package


def _modules_of(one: _Import, packages: Sequence[str]) -> list[str]:
    """The modules of ours that an import names."""
    if one.base.partition(".")[0] not in {package.partition(".")[0] for package in packages}:
        return []  # decided early, since looking for every library's files is slow
    if one.name is None:  # `import a.b` binds a, through which all that a holds can be reached
        parts = one.base.split(".")
        named = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    else:
        below = f"{one.base}.{one.name}"
        named = [below if _module_file(below) else one.base]
    return [module for module in named if any(f"{module}.".startswith(f"{package}.") for package in packages)]


def _root_of(function: Callable[..., object]) -> _Root:
    """What of a function's own module counts: whatever its body names, and what that names, and so on."""
    function = inspect.unwrap(function)
    name, module = getattr(function, "__qualname__", repr(function)).partition(".")[0], function.__module__
    source = _source_of_definition(function, module)
    if name not in source.bindings:
        raise ValueError(f"{module} defines no {name} by a statement of its own: only named functions have a version")
    statements = [_undecorated(statement) for statement in source.bindings[name]]
    used, reached = _names_used(statements), {name}
    while helpers := sorted((used & source.bindings.keys()) - reached):
        statements += [statement for helper in helpers for statement in source.bindings[helper]]
        used, reached = _names_used(statements), reached.union(helpers)
    inner = [one for statement in statements for one in _imports_in(ast.walk(statement), source.package)]
    outer = [one for one in source.outer_imports if one.bound in used]
    return _Root(digest=_digest(statements), imports=(*inner, *outer))


def _source_of_definition(function: Callable[..., object], module: str) -> _Source:
    path = inspect.getsourcefile(function) if inspect.isroutine(function) and hasattr(function, "__code__") else None
    if path is None or not Path(path).is_file():
        raise ValueError(f"{function!r} has no source file, so its version cannot be told: define it in a module")
    return _source(Path(path), module)


_sources: dict[tuple[Path, str], tuple[tuple[int, int], _Source]] = {}  # with the file's time and size when parsed


def _source(path: Path, module: str) -> _Source:
    """The parsed module; parsed again only when the file has changed."""
    status = path.stat()
    stamp = (status.st_mtime_ns, status.st_size)
    known = _sources.get((path, module))
    if known is None or known[0] != stamp:
        known = _sources[path, module] = (stamp, _parsed(path, module))
    return known[1]


def _parsed(path: Path, module: str) -> _Source:
    tree = ast.parse(path.read_bytes(), filename=str(path))
    _Normaliser().visit(tree)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _Source(
        digest=_digest(tree.body),
        imports=tuple(_imports_in(ast.walk(tree), package)),
        outer_imports=tuple(_imports_in(_outside_functions(tree), package)),
        bindings=_bindings(tree),
        package=package,
    )


class _Normaliser(ast.NodeTransformer):
    """Takes out what only people read."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Drop docstrings, and any other string that stands alone, such as one below a constant."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Drop `description=` arguments."""
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        self.generic_visit(node)
        return node


def _digest(statements: Iterable[ast.stmt]) -> str:
    """The hash of a tree without line numbers."""
    return hashlib.sha256("\n".join(ast.dump(one) for one in statements).encode()).hexdigest()


def _bindings(tree: ast.Module) -> dict[str, tuple[ast.stmt, ...]]:
    """The module-level statements by the names that they bind; imports are kept apart, in `imports`."""
    found: dict[str, tuple[ast.stmt, ...]] = {}
    for statement in tree.body:
        for name in _bound_by(statement):
            found[name] = (*found.get(name, ()), statement)
    return found


def _bound_by(statement: ast.stmt) -> set[str]:
    """The names that a module-level statement binds or changes, by definition or by assignment."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign):
        return {name for target in statement.targets for name in _names_in(target)}
    if isinstance(statement, ast.AnnAssign | ast.AugAssign):
        return _names_in(statement.target)
    # An `if` or `try` counts as a whole for each name in it: the condition decides which binding stands.
    blocks = [statement, *(part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.ExceptHandler))]
    inner = (part for block in blocks for part in ast.iter_child_nodes(block) if isinstance(part, ast.stmt))
    return {name for part in inner for name in _bound_by(part)}


def _names_used(statements: Iterable[ast.stmt]) -> set[str]:
    return {name for statement in statements for name in _names_in(statement)}


def _names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _undecorated(statement: ast.stmt) -> ast.stmt:
    """The definition without its decorators: how a result is stored and scheduled is not what it is."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return statement
    bare = copy.copy(statement)
    bare.decorator_list = []
    return bare


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """The parts that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _outside_functions(child)


def _imports_in(nodes: Iterable[ast.AST], package: str) -> Iterator[_Import]:
    """The imports among the nodes, relative ones made absolute."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _Import(base=alias.name, name=None, bound=alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                yield _Import(base=base, name=alias.name, bound=alias.asname or alias.name)


def _module_file(module: str) -> Path | None:
    """The source file of a module, found by its path; None where there is none, as for a library in C."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for location in spec.submodule_search_locations or ():
        stem = Path(location, *rest)
        for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if path.is_file():
                return path
    return None


@cache
def library_version(name: str) -> str:
    """The installed version of a distribution, as this process first saw it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"  # as good a version as any: installing the library changes it
