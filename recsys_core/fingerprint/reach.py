"""The statements that a definition can reach: a program without everything that cannot change its result."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recsys_core.fingerprint.program import Found, Links, Place, Program
from recsys_core.fingerprint.source import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A statement that counts."""

    module: str
    statement: Statement
    depends_on_order: bool


def reached(program: Program, module: str, name: str) -> list[Reached]:
    """Everything that counts for a definition, in the order in which Python runs it.

    Args:
        program: knows the module.
        module: where the definition stands; its decorators do not count, unless it is a class.
        name: of the definition.
    """
    search = _Search(program)
    search.start(module, name)
    return list(search.in_order())


class _Search:
    """Collects the statements that count, until no further one is reached."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.roots: set[Place] = set()
        self.counted: dict[Place, bool] = {}  # each statement that counts, and whether it is named in annotations alone
        self.waiting: list[Place] = []  # those whose links were not followed so far
        self.imported: dict[str, None] = {}  # modules, in the order in which they were met
        self.whole: set[str] = set()  # modules of which everything counts

    def start(self, module: str, name: str) -> None:
        """Count a definition and everything that it reaches."""
        self.roots = {Place(module, at) for at, one in enumerate(self.program.statements(module)) if name in one.binds}
        self.count(self.roots)
        self.run(module)
        self.count_makers_of_arguments()
        while self.waiting:
            self.follow(self.waiting.pop())
            if not self.waiting:
                self.count_what_may_change_another()

    def count_makers_of_arguments(self) -> None:
        """Count what makes the objects passed as arguments: the functions in their class's module that return them."""
        waiting = [one for root in self.roots for one in self.program.links(root).types.definitions]
        seen: set[Place] = set()
        while waiting:
            place = waiting.pop()
            is_handed = self.program.statement(place).is_class and self.program.follows(place.module)
            if is_handed and place not in seen and not self.is_settings(place):
                seen.add(place)
                others = (Place(place.module, at) for at in range(len(self.program.statements(place.module))))
                self.count(one for one in others if place in self.program.links(one).returned.definitions)
                waiting += self.program.links(place).types.definitions

    def is_settings(self, place: Place) -> bool:
        """Whether a statement defines settings."""
        module = self.program.module(place.module)
        return module is not None and module.is_settings

    def count(self, places: Iterable[Place], *, as_type: bool = False) -> None:
        """Count statements; a name found only in annotations is followed again once it is found elsewhere."""
        for place in places:
            is_type = as_type and self.program.statement(place).is_class
            if place not in self.counted or self.counted[place] > is_type:
                self.counted[place] = is_type
                self.waiting.append(place)

    def is_bare(self, place: Place) -> bool:
        """Whether a statement counts in its bare form: the requested function, and settings used as a type."""
        if place in self.roots:
            return self.program.statement(place).is_function
        return self.counted[place] and self.is_settings(place)

    def follow(self, place: Place) -> None:
        """Count everything to which a statement leads."""
        statement = self.program.statement(place)
        links = self.program.links(place, bare=self.is_bare(place))
        self.count_found(links.called)
        self.count_found(links.values)
        self.count_found(links.types, as_type=True)
        self.count_found(links.bases, as_type=self.counted[place])
        for name in links.late:
            self.run(name)
        for one in (*statement.imports, *statement.late_imports):
            if one.name == "*":
                self.count_whole(one.base)
        if statement.reflects:
            self.count_whole(place.module)
            for text in statement.strings:
                self.count_whole(text)

    def count_found(self, found: Found, *, as_type: bool = False) -> None:
        self.count(found.definitions, as_type=as_type)
        self.count(found.imports)
        for name in found.whole:
            self.count_whole(name)

    def count_whole(self, name: str) -> None:
        """Count all of a module; for a package, all modules below it."""
        is_known = name in self.imported or (self.program.follows(name) and self.program.module(name) is not None)
        if name in self.whole or not is_known:
            return
        self.whole.add(name)
        self.run(name)
        statements = enumerate(self.program.statements(name))
        self.count(Place(name, at) for at, one in statements if not self.program.passes_over(one))
        module = self.program.module(name)
        for below in module.modules_below() if module else ():
            self.count_whole(below)

    def run(self, name: str) -> None:
        """Import a module as Python does, after its parent packages; statements with effects count."""
        if name in self.imported or self.program.module(name) is None:
            return
        package = name.rpartition(".")[0]
        if package:
            self.run(package)
        self.imported[name] = None
        for at, one in enumerate(self.program.statements(name)):
            place = Place(name, at)
            for imported in self.program.imported(place) if one.imports else ():
                self.run(imported)
            if self.program.acts(place):
                self.count([place])

    def count_what_may_change_another(self) -> None:
        """Count statements that only bind a name, but whose code at import may change a value that counts."""
        cleared: set[Place] = set()
        for name in self.imported:
            for place, links in self.program.calling(name).items():
                if place not in self.counted and self.lead_to_counted(links, cleared):
                    self.count([place])
        if any(module.watches for name in self.imported if (module := self.program.module(name))):
            self.count(place for place in self.all_imported() if self.program.statement(place).is_class)

    def all_imported(self) -> Iterator[Place]:
        """All statements of the modules that are imported."""
        return (Place(name, at) for name in self.imported for at in range(len(self.program.statements(name))))

    def lead_to_counted(self, run: Links, cleared: set[Place]) -> bool:
        """Whether the code of a statement at import may access a value that counts.

        Args:
            run: what its calls lead to.
            cleared: statements that lead to nothing that counts; those that turn out to are added.
        """
        if self.touches(run):
            return True
        waiting, seen = [*run.called.definitions, *run.values.definitions], set(cleared)
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                links = self.program.links(one)
                if links.late or self.program.statement(one).reflects or self.touches(links):
                    return True
                waiting += links.called.definitions | links.values.definitions | links.bases.definitions
        cleared |= seen
        return False

    def touches(self, links: Links) -> bool:
        """Whether a value that counts is used other than by calling a function or creating an object."""
        if any(name in self.imported for name in links.called.whole | links.values.whole):
            return True
        called = links.called.definitions | links.bases.definitions
        just_called = called - links.called.read_from - links.values.definitions
        used = self.counted.keys() & (called | links.values.definitions)
        return any(self.can_change(place, is_just_called=place in just_called) for place in used)

    def can_change(self, place: Place, *, is_just_called: bool) -> bool:
        """Whether such a use can change the value that a statement defines."""
        statement = self.program.statement(place)
        return not (statement.is_literal or (is_just_called and (statement.is_function or statement.is_record)))

    def in_order(self) -> Iterator[Reached]:
        """The statements that count, in the order in which they run; late imports come last."""
        done: set[str] = set()
        root = next(iter(self.roots)).module
        for name in (root, *sorted(self.imported)):
            yield from self.in_order_of(name, done)

    def in_order_of(self, name: str, done: set[str]) -> Iterator[Reached]:
        """The counting statements of a module, after those of the modules that it imports."""
        if name in done or name not in self.imported:
            return
        done.add(name)
        yield from self.in_order_of(name.rpartition(".")[0], done)
        for at, statement in enumerate(self.program.statements(name)):
            place = Place(name, at)
            for imported in self.program.imported(place) if statement.imports else ():
                yield from self.in_order_of(imported, done)
            if place in self.counted:
                yield Reached(
                    module=name,
                    statement=statement.bare if self.is_bare(place) else statement,
                    depends_on_order=self.program.depends_on_order(place),
                )
