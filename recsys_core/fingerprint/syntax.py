"""Names, bindings and imports of a piece of syntax, and its effects at import; the code is read and never run."""

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Chain = tuple[str, ...]
"""A name and the attributes read from it: `a.b.c` is ("a", "b", "c")."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Function = ast.FunctionDef | ast.AsyncFunctionDef

REFLECTING_NAMES = frozenset({"__import__", "eval", "exec", "globals", "import_module", "locals", "modules"})
"""Functions with which code can reach names that its syntax does not show."""

REFLECTING_ATTRIBUTES = frozenset({
    "__globals__", "_getframe", "currentframe", "f_globals", "f_locals", "getmodule", "import_module", "run_module",
    "run_path",
})  # fmt: skip
"""Attributes with the same effect, on any object."""

WATCHING = frozenset({"__init_subclass__", "__mro_entries__", "__set_name__", "__subclasses__", "metaclass"})
"""Attributes through which a class observes its subclasses."""

REBINDING = frozenset({"delattr", "setattr"})
"""Calls of these change another object, even where their result is used."""

HARMLESS_DECORATORS = frozenset({
    "abstractmethod", "asynccontextmanager", "cache", "cached_property", "classmethod", "computed_field",
    "contextmanager", "dataclass", "deleter", "field_serializer", "field_validator", "final", "getter",
    "inference_mode", "lru_cache", "model_serializer", "model_validator", "no_grad", "overload", "override",
    "property", "runtime_checkable", "setter", "staticmethod", "total_ordering", "wraps",
})  # fmt: skip
"""Decorators of libraries that only wrap; any other may register the object that it decorates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported name."""

    base: str  # the module, in full
    name: str | None  # the imported name, "*", or None for a plain `import base`
    bound: str  # the name under which the importing module knows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names in a piece of syntax."""

    called: frozenset[Chain] = frozenset()  # only called
    values: frozenset[Chain] = frozenset()
    types: frozenset[Chain] = frozenset()  # in annotations, also in those written as strings
    returned: frozenset[Chain] = frozenset()  # those of `types` in return annotations
    imports: tuple[ast.Import | ast.ImportFrom, ...] = ()

    def chains(self) -> frozenset[Chain]:
        """All names, in any use."""
        return self.called | self.values | self.types


@dataclass(slots=True)
class AtImport:
    """The effects of a statement of a module when it runs, at import."""

    does_more: bool = False  # whether it does more than bind names: it changes, calls or deletes something
    evaluated: list[ast.expr] = field(default_factory=list)  # evaluated expressions: values, defaults, decorators
    decorators: list[ast.expr] = field(default_factory=list)  # also contained in `evaluated`


NOTHING = Names()


def names_in(*nodes: ast.AST) -> Names:
    """All names within the nodes, in any scope: a local name counts as a name of the module too."""
    if not nodes:
        return NOTHING
    called, values, types, returned = set[Chain](), set[Chain](), set[Chain](), set[Chain]()
    imports: list[ast.Import | ast.ImportFrom] = []
    waiting: list[tuple[ast.AST, set[Chain]]] = [(node, values) for node in nodes]
    while waiting:
        node, kind = waiting.pop()
        chain = chain_of(node)
        if chain:
            kind.add(chain)
        elif not is_for_people(node):
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.append(node)
            for role, child in _children(node):
                if kind is types or kind is returned or role in ("annotation", "returns"):
                    waiting.append((_unquoted(child), returned if role == "returns" or kind is returned else types))
                else:
                    is_callee = role == "func" and isinstance(child, ast.Name | ast.Attribute)
                    waiting.append((child, called if is_callee else values))
    return Names(
        called=frozenset(called - values),
        values=frozenset(values),
        types=frozenset(types | returned),
        returned=frozenset(returned),
        imports=tuple(imports),
    )


def reflects(node: ast.AST) -> bool:
    """Whether code can reach names that its syntax does not show, such as by `globals()` or `sys.modules`."""
    parts = list(ast.walk(node))
    called = {id(part.func) for part in parts if isinstance(part, ast.Call)}
    for part in parts:
        match part:
            case ast.Name(id=name) if name in REFLECTING_NAMES:
                return True
            case ast.Attribute(attr=name) if name in REFLECTING_ATTRIBUTES:
                return True
            case ast.Attribute(attr="modules") if id(part) not in called:  # a method may be called so
                return True
            case ast.Call(func=ast.Name(id="vars" | "dir"), args=[]):
                return True
    return False


def watches(node: ast.AST) -> bool:
    """Whether code makes a class observe its subclasses."""
    words = (getattr(part, role, None) for part in ast.walk(node) for role in ("attr", "arg", "name", "id"))
    return any(word in WATCHING for word in words)


def is_record(node: ast.ClassDef) -> bool:
    """Whether creating an object of a class can change only that object: the class has no mutable state."""
    shared = [part for part in node.body if not isinstance(part, Function | ast.Pass) and not is_for_people(part)]
    words = {word for part in ast.walk(node) for word in (getattr(part, "id", ""), getattr(part, "attr", ""))}
    is_plain = all(isinstance(part, ast.AnnAssign) and _is_of_each_object(part.value) for part in shared)
    return is_plain and not words & {"cls", "type", "__class__"}


def is_literal(value: ast.AST | None) -> bool:
    """Whether a value is immutable: a number, a string, a tuple of them, or a type variable."""
    match value:
        case ast.Constant():
            return True
        case ast.UnaryOp(operand=operand):
            return is_literal(operand)
        case ast.BinOp(left=left, right=right):
            return is_literal(left) and is_literal(right)
        case ast.Tuple(elts=parts) | ast.Call(func=ast.Name(id="float" | "int" | "str"), args=parts, keywords=[]):
            return all(map(is_literal, parts))
        case ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec" | "NewType")):
            return True
    return False


def _is_of_each_object(default: ast.expr | None) -> bool:
    is_field = isinstance(default, ast.Call) and chain_of(default.func)[-1:] in (("field",), ("Field",))
    return default is None or is_literal(default) or is_field


def strings_in(node: ast.AST) -> frozenset[str]:
    """All strings within a node."""
    found = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return frozenset(value for value in found if isinstance(value, str))


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The children of a node, each with the name of its field; faster than `ast.iter_child_nodes`."""
    for role in node._fields:
        part = getattr(node, role, None)
        if isinstance(part, list):
            for one in part:
                if isinstance(one, ast.AST):
                    yield role, one
        elif isinstance(part, ast.AST) and role != "ctx":
            yield role, part


def written(node: object) -> str:
    """The syntax of a node as text: equal for equal code, whatever its layout and documentation."""
    parts: list[str] = []
    _write(node, parts)
    return " ".join(parts)


def is_for_people(node: object) -> bool:
    """Whether it is documentation: a docstring, any other string statement, or a `description=` argument."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.keyword) and node.arg == "description"


def chain_of(node: ast.AST) -> Chain:
    """The chain of a node; empty where the node is no chain."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node.id, *reversed(attributes)) if isinstance(node, ast.Name) else ()


def bound_by(node: ast.AST) -> Iterator[str]:
    """The names that a statement binds in its own scope."""
    yield from _bound_by_itself(node)
    if not isinstance(node, Definition | ast.Lambda):  # these have their own scope
        for child in ast.iter_child_nodes(node):
            if not (isinstance(node, ast.comprehension) and child is node.target):
                yield from bound_by(child)


def _bound_by_itself(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in aliases)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


def imports_at_import(node: ast.AST, package: str) -> Iterator[Import]:
    """The imports within a node that run when its module is imported."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from imports_of(node, package)
    elif not isinstance(node, Function):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                yield from imports_at_import(child, package)


def at_import(statements: Iterable[ast.AST]) -> AtImport:
    """The effects of the statements of a module or of a class body."""
    found = AtImport()
    for statement in statements:
        _add_at_import(statement, found)
    return found


def _write(node: object, parts: list[str]) -> None:
    if isinstance(node, ast.AST):
        parts.append(type(node).__name__)
        for name in node._fields:
            if name not in ("ctx", "kind", "type_comment"):  # said by the place; by nothing that runs
                _write(getattr(node, name, None), parts)
    elif isinstance(node, list):
        parts.append("[")
        for one in node:
            if not is_for_people(one):
                _write(one, parts)
        parts.append("]")
    else:
        parts.append(repr(node))


def _add_at_import(node: ast.AST, found: AtImport) -> None:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            _add_definition(node, found)
        case ast.Assign() | ast.AnnAssign():
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.evaluated += [node.value] if node.value else []
            found.does_more |= not all(map(_is_plain_target, targets))
        case ast.If(test=test, body=body, orelse=orelse):
            found.evaluated.append(test)
            _add_parts([*body, *orelse], found)
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=finalbody):
            caught = [statement for handler in handlers for statement in handler.body]
            _add_parts([*body, *caught, *orelse, *finalbody], found)
        case ast.ImportFrom(module=module, names=[ast.alias(name=name), *_]):
            found.does_more |= name == "*" or module == "__future__"
        case ast.Import() | ast.Pass() | ast.Expr(value=ast.Constant()):
            pass
        case _:
            found.does_more = True


def _add_definition(node: Definition, found: AtImport) -> None:
    found.evaluated += node.decorator_list
    found.decorators += node.decorator_list
    if isinstance(node, ast.ClassDef):
        found.evaluated += [keyword.value for keyword in node.keywords]
        _add_parts(node.body, found)
    else:
        found.evaluated += [*node.args.defaults, *filter(None, node.args.kw_defaults)]


def _add_parts(statements: Iterable[ast.AST], found: AtImport) -> None:
    for statement in statements:
        _add_at_import(statement, found)


def _is_plain_target(target: ast.AST) -> bool:
    """Whether an assignment to this target binds names and changes no object."""
    return not any(isinstance(part, ast.Attribute | ast.Subscript) for part in ast.walk(target))


def _unquoted(node: ast.AST) -> ast.AST:
    """The syntax of an annotation given as a string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value, mode="eval")
        except SyntaxError:  # a plain string, as in Annotated[int, "years"]
            return node
    return node


def imports_of(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[Import]:
    """The names that an import statement imports, with relative modules made absolute."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield Import(base=alias.name, name=None, bound=alias.asname or top)
    else:
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        for alias in node.names:
            yield Import(base=base, name=alias.name, bound=alias.asname or alias.name)
