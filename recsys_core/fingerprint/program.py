"""The modules of some packages as one program: resolves the names of a statement across modules."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from recsys_core.fingerprint.source import Module, Stamp, Statement, find, load, locations_of, stamp_of
from recsys_core.fingerprint.syntax import Chain, Import, Names


class Place(NamedTuple):
    """The place of a statement."""

    module: str
    at: int  # its number within the module


@dataclass(slots=True)
class Found:
    """The targets of names; empty for names that are local, builtin or of a library."""

    definitions: set[Place] = field(default_factory=set)
    read_from: set[Place] = field(default_factory=set)  # those definitions of which an attribute is read
    imports: set[Place] = field(default_factory=set)  # on the way to them, or to a library
    whole: set[str] = field(
        default_factory=set
    )  # modules used as values, or of which something is read that is unknown

    def add(self, other: "Found") -> None:
        """Add all targets of the other."""
        self.definitions |= other.definitions
        self.read_from |= other.read_from
        self.imports |= other.imports
        self.whole |= other.whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The targets of a statement's names."""

    called: Found  # by what it calls and does not use otherwise
    values: Found  # by all else
    types: Found  # by its annotations
    returned: Found  # by those of what its functions return
    bases: Found  # by the bases of a class
    late: frozenset[str]  # modules that are imported when one of its functions is called


class Program:
    """Reads modules on demand, and caches the targets of their names."""

    def __init__(self, packages: Sequence[str], top: str) -> None:
        """Follow some packages, for functions that are declared below `top`."""
        self._packages = tuple(packages)
        self._tops = {name: locations_of(name) for name in {top, *(name.partition(".")[0] for name in packages)}}
        self._modules: dict[str, Module | None] = {}
        self._stamps: dict[str, tuple[Path, Stamp] | None] = {}
        self._is_ours: dict[str, bool] = {}
        self._found: dict[tuple[str, Chain], Found] = {}
        self._links: dict[tuple[Place, bool], Links] = {}
        self._imported: dict[Place, tuple[str, ...]] = {}
        self._acts: dict[Place, bool] = {}
        self._depends_on_order: dict[Place, bool] = {}
        self._calling: dict[str, dict[Place, Links]] = {}

    def is_current(self) -> bool:
        """Whether every file is unchanged, and no file was added to which names would now resolve."""
        are_in_place = all(locations_of(name) == found for name, found in self._tops.items())
        return are_in_place and all(
            find(name) is None if read is None else read[0].is_file() and stamp_of(read[0]) == read[1]
            for name, read in self._stamps.items()
        )

    def add(self, name: str, path: Path) -> Module:
        """The module of a file, under a name that an import might not find."""
        module = load(path, name)
        self._modules[name], self._stamps[name] = module, (path, stamp_of(path))
        return module

    def module(self, name: str) -> Module | None:
        """The module of that name, if it has a source and is inside or beside the followed packages."""
        if name.partition(".")[0] not in self._tops:
            return None
        if name not in self._modules:
            path = find(name)
            self._modules[name], self._stamps[name] = None, None
            if path is not None:
                self.add(name, path)
        return self._modules[name]

    def statements(self, name: str) -> tuple[Statement, ...]:
        """Those of a module that was read before."""
        module = self._modules[name]
        return module.statements if module else ()

    def statement(self, place: Place) -> Statement:
        """The statement at a place."""
        return self.statements(place.module)[place.at]

    def follows(self, name: str) -> bool:
        """Whether a module is inside the followed packages."""
        if name not in self._is_ours:
            self._is_ours[name] = any(f"{name}.".startswith(f"{package}.") for package in self._packages)
        return self._is_ours[name]

    def passes_over(self, statement: Statement) -> bool:
        """Whether an import is of a deliberately unfollowed neighbour, such as the code that stores assets."""
        return statement.is_import and all(
            one.base.partition(".")[0] in self._tops
            and not any(self._leads_in(name) for name in (one.base, f"{one.base}.{one.name}"))
            for one in statement.imports
        )

    def imported(self, place: Place) -> tuple[str, ...]:
        """The modules that a statement imports when its module is imported, in order."""
        if place not in self._imported:
            self._imported[place] = tuple(self._modules_of(self.statement(place).imports))
        return self._imported[place]

    def acts(self, place: Place) -> bool:
        """Whether a statement does more than bind names, or a library's decorator may register its definition."""
        if place not in self._acts:
            statement = self.statement(place)
            self._acts[place] = statement.acts or any(
                self._is_of_a_library(place.module, chain) for chain in statement.registering
            )
        return self._acts[place]

    def depends_on_order(self, place: Place) -> bool:
        """Whether the order of a statement matters: it has effects, rebinds a name, or reads a value of ours."""
        if place not in self._depends_on_order:
            statement = self.statement(place)
            is_only = all(
                self.statement(one).digest == statement.digest
                for name in statement.binds
                for one in self._bound(place.module, name)
            )
            read = {chain[0] for chain in statement.evaluated.chains() | statement.bases.chains()}
            sources = [one for name in read for one in self._bound(place.module, name)]
            reads_ours = any(not self.statement(one).is_import or self.imported(one) for one in sources)
            self._depends_on_order[place] = self.acts(place) or not is_only or reads_ours
        return self._depends_on_order[place]

    def links(self, place: Place, *, bare: bool = False) -> Links:
        """The targets of a statement, or of its bare form."""
        if (place, bare) not in self._links:
            statement = self.statement(place).bare if bare else self.statement(place)
            self._links[place, bare] = self._linked(place.module, statement, statement.names, statement.bases)
        return self._links[place, bare]

    def calling(self, module: str) -> dict[Place, Links]:
        """The statements of a module with calls at import, and the targets of these calls."""
        if module not in self._calling:
            places = [Place(module, at) for at, one in enumerate(self.statements(module)) if one.calls.chains()]
            linked = {
                place: self._linked(module, self.statement(place), self.statement(place).calls, Names())
                for place in places
            }
            self._calling[module] = {
                place: one
                for place, one in linked.items()
                if one.called.definitions or one.values.definitions or one.called.whole or one.values.whole
            }
        return self._calling[module]

    def _linked(self, module: str, statement: Statement, names: Names, bases: Names) -> Links:
        return Links(
            called=self._found_by(module, statement, names.called),
            values=self._found_by(module, statement, names.values),
            types=self._found_by(module, statement, names.types),
            returned=self._found_by(module, statement, names.returned),
            bases=self._found_by(module, statement, bases.chains()),
            late=frozenset(self._modules_of(statement.late_imports)),
        )

    def _bound(self, module: str, name: str) -> list[Place]:
        """The statements of a module that bind a name."""
        known = self.module(module)
        return [Place(module, at) for at in known.binding.get(name, ())] if known else []

    def _found_by(self, module: str, statement: Statement, chains: Iterable[Chain]) -> Found:
        found = Found()
        for chain in chains:
            if (module, chain) not in self._found:
                self._found[module, chain] = Found()
                self._follow(module, chain, self._found[module, chain], set())
            found.add(self._found[module, chain])
            for one in statement.late_imports:
                if one.bound == chain[0]:
                    self._follow_import(one, chain[1:], found, set())
        for one in statement.imports if statement.is_class else ():  # read as attributes of the class
            self._follow_import(one, (), found, set())
        return found

    def _follow(self, name: str, chain: Chain, found: Found, seen: set[tuple[str, Chain]]) -> None:
        """Follow a chain in a module to the statements that bind its first name there."""
        module = self.module(name)
        if module is None or (name, chain) in seen:
            return
        seen.add((name, chain))
        for at in module.binding.get(chain[0], ()):
            if not self.passes_over(module.statements[at]):
                self._add(Place(name, at), chain, found, seen)
        for at in module.binding.get("*", ()):
            for source in self.imported(Place(name, at)):
                self._follow(source, chain, found, seen)

    def _add(self, place: Place, chain: Chain, found: Found, seen: set[tuple[str, Chain]]) -> None:
        """Add a statement that binds the first name of a chain, and the target of its import."""
        statement = self.statement(place)
        (found.imports if statement.is_import else found.definitions).add(place)
        if len(chain) > 1 and not statement.is_import:
            found.read_from.add(place)
        for one in statement.imports:
            if one.bound == chain[0]:
                self._follow_import(one, chain[1:], found, seen)

    def _follow_import(self, one: Import, rest: Chain, found: Found, seen: set[tuple[str, Chain]]) -> None:
        if one.name is not None:
            self._enter(one.base, (one.name, *rest), found, seen)
        else:  # `import a.b` binds a; `import a.b as m` binds a.b
            is_renamed = one.bound != one.base.partition(".")[0]
            self._enter(one.base if is_renamed else one.bound, rest, found, seen)

    def _enter(self, name: str, chain: Chain, found: Found, seen: set[tuple[str, Chain]]) -> None:
        """Follow a chain of attributes from a module; where it has no target, the whole module is one."""
        below = self._submodule(name, chain[0]) if chain else None
        if below is not None:
            self._enter(below, chain[1:], found, seen)
        module = self.module(name) if self.follows(name) else None
        if module is not None and chain and chain[0] in module.binding:
            self._follow(name, chain, found, seen)
        elif module is not None and below is None:
            found.whole.add(name)

    def _modules_of(self, imports: Iterable[Import]) -> Iterator[str]:
        """The followed modules that imports run, without their parent packages."""
        for one in imports:
            below = self._submodule(one.base, one.name) if one.name else None
            yield from (
                name for name in (one.base, below) if name is not None and self.follows(name) and self.module(name)
            )

    def _submodule(self, package: str, name: str) -> str | None:
        known = self.module(package)
        can_hold = package.partition(".")[0] in self._tops and (known is None or known.is_package)
        below = f"{package}.{name}"
        return below if can_hold and self.module(below) is not None else None

    def _leads_in(self, name: str) -> bool:
        """Whether a module, or one below it, is followed."""
        return self.follows(name) or any(package.startswith(f"{name}.") for package in self._packages)

    def _is_of_a_library(self, module: str, chain: Chain) -> bool:
        """Whether a name in a module is neither ours nor of an unfollowed neighbour."""
        if not chain:
            return True
        binding = [self.statement(one) for one in self._bound(module, chain[0])]
        found = Found()
        self._follow(module, chain, found, set())
        is_ours = bool(found.definitions or found.whole)
        return not is_ours and not any(self.passes_over(one) for one in binding)
