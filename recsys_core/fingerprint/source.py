"""Modules on the disk: find, parse, and cut them into statements."""

import ast
import hashlib
import importlib.util
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from recsys_core.fingerprint.syntax import (
    HARMLESS_DECORATORS,
    NOTHING,
    REBINDING,
    REFLECTING_ATTRIBUTES,
    REFLECTING_NAMES,
    WATCHING,
    Chain,
    Function,
    Import,
    Names,
    at_import,
    bound_by,
    chain_of,
    imports_at_import,
    imports_of,
    is_for_people,
    is_literal,
    is_record,
    names_in,
    reflects,
    strings_in,
    watches,
    written,
)

_TELLING = re.compile(rf"\b(?:vars|dir|{'|'.join(REFLECTING_NAMES | REFLECTING_ATTRIBUTES)})\b")
"""Words for a quick search for reflection; they may mean something else."""

SETTINGS = "config"
"""Name of the modules that declare settings."""


@dataclass(kw_only=True)
class Statement:
    """One statement of a module; an import of several names counts as one statement per name.

    What is needed of few statements is read when it is asked for, from the text: trees would be a load on memory.
    """

    text: str  # its lines
    line: int  # first line
    package: str  # against which its imports are relative
    kind: type[ast.stmt]
    binds: frozenset[str]
    imports: tuple[Import, ...]  # those that run when the module is imported
    does_more: bool  # whether its execution at import does more than bind names
    evaluated: Names  # names in the expressions that are evaluated at import
    calls: Names  # names in the calls among them
    registering: tuple[Chain, ...]  # decorators that may do more than wrap; an empty chain for one without a name
    may_reflect: bool  # whether these expressions can reach names that their syntax does not show
    is_literal: bool  # whether it binds an immutable value: a number, a string, or a tuple of them
    is_bare: bool = False  # whether it is a function without its decorators, or a class without its fields

    @property
    def is_class(self) -> bool:
        """Whether it defines a class."""
        return issubclass(self.kind, ast.ClassDef)

    @property
    def is_function(self) -> bool:
        """Whether it defines a function."""
        return issubclass(self.kind, Function)

    @property
    def is_import(self) -> bool:
        """Whether it only imports one name."""
        return issubclass(self.kind, ast.Import | ast.ImportFrom)

    @cached_property
    def acts(self) -> bool:
        """Whether its execution at import does more than bind names."""
        rebinds = any(chain[0] in REBINDING for chain in self.evaluated.chains())
        return self.does_more or rebinds or self.may_reflect

    @cached_property
    def bare(self) -> "Statement":
        """A function without its decorators, a class without its fields; any other statement unchanged."""
        return replace(self, is_bare=True) if self.is_function or self.is_class else self

    @property
    def digest(self) -> str:
        """The hash of its syntax; for an import, of the imported names, however it is written."""
        return self._read.digest

    @property
    def names(self) -> Names:
        """The names that it uses, without the bases of a class."""
        return self._read.names

    @property
    def bases(self) -> Names:
        """The names in the bases of a class."""
        return self._read.bases

    @property
    def late_imports(self) -> tuple[Import, ...]:
        """The imports that run when one of its functions is called."""
        return self._read.late_imports

    @property
    def reflects(self) -> bool:
        """Whether it can reach names that its syntax does not show."""
        return self._read.reflects

    @property
    def is_record(self) -> bool:
        """Whether it defines a class whose objects can be made without changing anything else."""
        return self._read.is_record

    @property
    def strings(self) -> frozenset[str]:
        """The strings in code that uses reflection, which may name modules; empty for other code."""
        return self._read.strings

    @cached_property
    def _read(self) -> "_Read":
        if self.is_import:
            (one,) = self.imports
            is_top = one.name is None and one.bound == one.base.partition(".")[0]  # `import a.b` binds a, as `import a`
            return _Read(digest=_hash(repr(replace(one, base=one.bound) if is_top else one)))
        (node,) = ast.parse(self.text).body
        bases = names_in(*node.bases) if isinstance(node, ast.ClassDef) else NOTHING
        if self.is_bare:
            _make_bare(node)
        digest, is_plain = _hash(written(node)), isinstance(node, ast.ClassDef) and is_record(node)
        if isinstance(node, ast.ClassDef):
            node.bases = []
        names = names_in(node)
        inside = (one for found in names.imports for one in imports_of(found, self.package))
        late = tuple(dict.fromkeys(one for one in inside if one not in self.imports))
        is_open = _TELLING.search(self.text) is not None and reflects(node)
        strings = strings_in(node) if is_open else frozenset[str]()
        return _Read(
            digest=digest,
            names=names,
            bases=bases,
            late_imports=late,
            reflects=is_open,
            strings=strings,
            is_record=is_plain,
        )


@dataclass(frozen=True, kw_only=True)
class _Read:
    """Facts read from the text of a statement."""

    digest: str
    names: Names = NOTHING
    bases: Names = NOTHING
    late_imports: tuple[Import, ...] = ()
    reflects: bool = False
    strings: frozenset[str] = frozenset()
    is_record: bool = False


@dataclass(frozen=True, kw_only=True)
class Module:
    """A parsed module."""

    name: str
    path: Path
    statements: tuple[Statement, ...]
    binding: Mapping[str, tuple[int, ...]]  # name -> the statements that bind it, by their place
    watches: bool  # whether a class may learn of the classes that are made from it

    @property
    def is_package(self) -> bool:
        """Whether there are modules below it."""
        return self.path.name == "__init__.py"

    @property
    def is_settings(self) -> bool:
        """Whether it declares settings."""
        return self.name.rpartition(".")[2] == SETTINGS

    def modules_below(self) -> Iterator[str]:
        """The modules and packages directly below it."""
        if self.is_package:
            for path in sorted(self.path.parent.iterdir()):
                if (path.suffix == ".py" and path != self.path) or (path / "__init__.py").is_file():
                    yield f"{self.name}.{path.stem}"


Stamp = tuple[int, int]
_modules: dict[tuple[Path, str], tuple[Stamp, Module]] = {}


def stamp_of(path: Path) -> Stamp:
    """The modification time and size of a file, which change when it is written."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def load(path: Path, name: str) -> Module:
    """The module that a file holds; parsed again only when the file has changed."""
    stamp = stamp_of(path)
    known = _modules.get((path, name))
    if known is None or known[0] != stamp:
        known = _modules[path, name] = (stamp, _parsed(path, name))
    return known[1]


def locations_of(top: str) -> tuple[str, ...]:
    """The folders or the file of a top-level module; empty where there is no such module."""
    spec = importlib.util.find_spec(top)
    return () if spec is None else (spec.origin or "", *(spec.submodule_search_locations or ()))


def find(module: str) -> Path | None:
    """The source file of a module; None without one, as for a library in C."""
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


def _parsed(path: Path, name: str) -> Module:
    text = path.read_bytes()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    lines = io.TextIOWrapper(io.BytesIO(text), tokenize.detect_encoding(io.BytesIO(text).readline)[0]).readlines()
    nodes = [node for node in ast.parse(text, filename=str(path)).body if not _is_idle(node, name)]
    statements = tuple(_statements(nodes, lines, package))
    binding: dict[str, tuple[int, ...]] = {}
    for place, statement in enumerate(statements):
        for bound in statement.binds:
            binding[bound] = (*binding.get(bound, ()), place)
    may_watch = any(word.encode() in text for word in WATCHING)  # quick, but it may stand in a comment
    is_watching = may_watch and any(map(watches, nodes))
    return Module(name=name, path=path, statements=statements, binding=binding, watches=is_watching)


def _statements(nodes: list[ast.stmt], lines: list[str], package: str) -> Iterator[Statement]:
    for node in nodes:
        happens = at_import([node])
        evaluated = names_in(*happens.evaluated)
        text = _text_of(node, lines)
        whole = Statement(
            text=text,
            line=node.lineno,
            package=package,
            kind=type(node),
            binds=frozenset(bound_by(node)),
            imports=tuple(dict.fromkeys(imports_at_import(node, package))),
            does_more=happens.does_more,
            evaluated=evaluated,
            may_reflect=_TELLING.search(text) is not None and any(map(reflects, happens.evaluated)),
            calls=evaluated if happens.decorators or _is_calling(happens.evaluated) else NOTHING,
            registering=tuple(_registering(happens.decorators)),
            is_literal=isinstance(node, ast.Assign | ast.AnnAssign) and is_literal(node.value),
        )
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (replace(whole, imports=(one,), binds=frozenset([one.bound])) for one in whole.imports)
        else:
            yield whole


def _text_of(node: ast.stmt, lines: list[str]) -> str:
    """The lines of a statement; its unparsed syntax where it shares a line with another."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
    text = "".join(lines[first - 1 : node.end_lineno])
    return text if ";" not in lines[node.lineno - 1] + lines[(node.end_lineno or 0) - 1] else ast.unparse(node)


def _make_bare(node: ast.stmt) -> None:
    if isinstance(node, Function):
        node.decorator_list = []
    elif isinstance(node, ast.ClassDef):
        node.body = [part for part in node.body if not isinstance(part, ast.AnnAssign)]


def _registering(decorators: list[ast.expr]) -> Iterator[Chain]:
    for decorator in decorators:
        chain = chain_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if not chain or chain[-1] not in HARMLESS_DECORATORS:
            yield chain


def _is_calling(parts: list[ast.expr]) -> bool:
    return any(isinstance(one, ast.Call) for part in parts for one in ast.walk(part))


def _is_idle(node: ast.stmt, module: str) -> bool:
    """Whether a statement does nothing at import: a string, or an `if` that is false at run time."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), orelse=[]):
            return True
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[one]), orelse=[]):
            return isinstance(one, ast.Constant) and one.value != module
    return is_for_people(node)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
