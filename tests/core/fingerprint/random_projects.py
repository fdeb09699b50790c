"""Small random projects and random edits to them, to ask whether a version follows what a function returns.

A project has a root module `root`, whose `run()` returns numbers, and a package `lib`. Few names are used, so that
modules define the same names and an edit may lead to another definition. Nothing forbids errors: a project that raises
when it is imported or run has the error as its output.
"""

import contextlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FunctionType

from recsys_core.fingerprint import code_version

FILES = {
    "lib": "lib/__init__.py",
    "lib.m0": "lib/m0.py",
    "lib.m1": "lib/m1.py",
    "lib.p.m2": "lib/p/m2.py",
    "lib.p": "lib/p/__init__.py",
    "root": "root.py",
}
"""Each module may import those above it."""

N_STATEMENTS = {"lib": (0, 2), "lib.m0": (2, 4), "lib.m1": (2, 5), "lib.p.m2": (2, 5), "lib.p": (1, 4), "root": (5, 9)}
"""Least and most at first."""

NAMES = {
    "number": ("C0", "C1", "C2"),
    "list": ("L0", "L1"),
    "function": ("f0", "f1", "f2"),
    "appender": ("add0", "add1"),
    "class": ("K0", "K1"),
    "watcher": ("W0",),
}
NAMES_OF_MODULES = {"lib.m0": "m0", "lib.m1": "m1", "lib.p.m2": "m2", "lib.p": "p"}


@dataclass
class Draft:
    """A module in the making: its statements, and what its names are."""

    name: str
    statements: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)

    def of(self, *kinds: str) -> list[str]:
        """The names of some kinds."""
        return [name for name, kind in self.kinds.items() if kind in kinds]


Project = dict[str, Draft]

FAILED = "failed with "
"""Begins the output of a project that raises."""


def random_project(random: Random, *, may_reflect: bool) -> Project:
    """A project of a few statements per module.

    Args:
        random: all chance comes from it.
        may_reflect: whether code may use `globals()`, `getattr` on modules and other ways that hide what it names.
    """
    project: Project = {}
    for name in FILES:
        project[name] = Draft(name)
        for _ in range(random.randint(*N_STATEMENTS[name])):
            add_statement(random, project, name, may_reflect=may_reflect)
    scenes = [*random.sample(SCENES, 2), random.choice(REFLECTING_SCENES if may_reflect else SCENES)]
    for scene in scenes:
        for name, statement in scene.statements:
            project[name].statements.insert(random.randint(0, len(project[name].statements)), statement)
    add_run(random, project, [scene.value for scene in scenes])
    return project


def add_run(random: Random, project: Project, values: list[str]) -> None:
    """The function that is asked about; it returns the values, and others."""
    root = project["root"]
    lines = [f"    from {module} import {name}" for module, name in _importable(random, project, "root", n=1)]
    values = values + [value_of(random, project, root) for _ in range(8)]
    root.statements.append("\n".join(["def run():", *lines, f"    return [{', '.join(values)}]"]))


def value_of(random: Random, project: Project, module: Draft, before: str = "", depth: int = 2) -> str:
    """An expression for a number, made from a name of a module, which may be that of another module."""
    name = random.choice([*module.kinds]) if module.kinds and random.random() < 0.9 else ""
    kind, said = module.kinds.get(name, "none"), f"{before}{name}"
    if kind.startswith("lib"):
        return value_of(random, project, project[kind], f"{said}.", depth - 1) if depth else "1"
    forms = {
        "number": said,
        "list": f"sum({said})",
        "function": f"{said}({random.randint(0, 3)})",
        "appender": f"{said}({random.randint(0, 3)})",
        "class": f"{said}().get({random.randint(0, 3)})",
        "watcher": f"len({said}.told)",
        "none": str(random.randint(0, 9)),
    }
    return forms[kind]


def add_statement(random: Random, project: Project, name: str, *, may_reflect: bool) -> None:
    """One more statement at the end of a module."""
    makers = [*MAKERS, *(REFLECTING if may_reflect else []), *(IMPORTING * 15 if name == "root" else [])]
    for _ in range(5):
        made = random.choice(makers)(random, project, project[name])
        if made:
            project[name].statements.append(made)
            return


Maker = Callable[[Random, Project, Draft], str]


def constant(random: Random, _: Project, module: Draft) -> str:
    return f"{_bind(random, module, 'number')} = {random.randint(0, 9)}"


def computed(random: Random, project: Project, module: Draft) -> str:
    value = value_of(random, project, module)
    return f"{_bind(random, module, 'number')} = {value} + {random.randint(0, 9)}"


def a_list(random: Random, project: Project, module: Draft) -> str:
    value = value_of(random, project, module)
    return f"{_bind(random, module, 'list')} = [{value}, {random.randint(0, 9)}]"


def function(random: Random, project: Project, module: Draft) -> str:
    name = _free_name(random, module, "function")
    values = " + ".join(value_of(random, project, module) for _ in range(2))
    default = random.choice(["", f", y={value_of(random, project, module)}"])
    module.kinds[name] = "function"
    return f"def {name}(x{default}):\n    return x + {'y + ' if default else ''}{values} + {random.randint(0, 9)}"


def late_import(random: Random, project: Project, module: Draft) -> str:
    found = _importable(random, project, module.name, n=1)
    if not found or found[0][1] not in project[found[0][0]].kinds:
        return ""
    (source, name), holder = found[0], Draft("local")
    holder.kinds[name] = project[source].kinds[name]
    value = value_of(random, project, holder)
    bound = _bind(random, module, "function")
    return f"def {bound}(x):\n    from {source} import {name}\n    return x + {value}"


def appender(random: Random, _: Project, module: Draft) -> str:
    lists = module.of("list")
    if not lists:
        return ""
    return f"def {_bind(random, module, 'appender')}(x):\n    {random.choice(lists)}.append(x)\n    return x"


def a_class(random: Random, project: Project, module: Draft) -> str:
    bases = module.of("class", "watcher")
    base = random.choice([*bases, ""]) if bases else ""
    name = _free_name(random, module, "class")
    value, inner = value_of(random, project, module), value_of(random, project, module)
    module.kinds[name] = "class"
    return f"class {name}({base}):\n    v = {value}\n    def get(self, x):\n        return self.v + x + {inner}"


def watcher(random: Random, _: Project, module: Draft) -> str:
    name = _bind(random, module, "watcher")
    return (
        f"class {name}:\n    told = []\n    def __init_subclass__(cls, **kw):\n        {name}.told.append(1)\n"
        f"    def get(self, x):\n        return len({name}.told)"
    )


def import_name(random: Random, project: Project, module: Draft) -> str:
    found = _importable(random, project, module.name, n=1)
    if not found:
        return ""
    source, name = found[0]
    bound = random.choice([name, random.choice(NAMES.get(project[source].kinds[name], (name,)))])
    module.kinds[bound] = project[source].kinds[name]
    return f"from {source} import {name}" + (f" as {bound}" if bound != name else "")


def import_module(random: Random, project: Project, module: Draft) -> str:
    sources = [name for name in project if name in NAMES_OF_MODULES and name != module.name]
    if not sources:
        return ""
    source = random.choice(sources)
    bound = NAMES_OF_MODULES[source]
    module.kinds[bound] = source
    package, _, last = source.rpartition(".")
    return random.choice([f"import {source} as {bound}", f"from {package} import {last} as {bound}"])


def append(random: Random, project: Project, module: Draft) -> str:
    lists = module.of("list")
    return f"{random.choice(lists)}.append({value_of(random, project, module)})" if lists else ""


def patch(random: Random, project: Project, module: Draft) -> str:
    aliases = [name for name, kind in module.kinds.items() if kind.startswith("lib")]
    if not aliases:
        return ""
    alias = random.choice(aliases)
    names = project[module.kinds[alias]].of("number")
    return f"{alias}.{random.choice(names)} = {random.randint(0, 9)}" if names else ""


def register_kept(random: Random, _: Project, module: Draft) -> str:
    appenders = module.of("appender")
    if not appenders:
        return ""
    called = random.choice(appenders)
    return f"{_bind(random, module, 'number')} = {called}({random.randint(0, 9)})"


def register_decorated(random: Random, _: Project, module: Draft) -> str:
    appenders = module.of("appender")
    if not appenders:
        return ""
    called, name = random.choice(appenders), _bind(random, module, "function")
    return f"@(lambda f: {called}({random.randint(0, 9)}) and f or f)\ndef {name}(x):\n    return x"


def loop(random: Random, _: Project, module: Draft) -> str:
    lists = module.of("list")
    return f"for _ in range({random.randint(0, 3)}):\n    {random.choice(lists)}.append(_)" if lists else ""


def rebound_by_call(random: Random, _: Project, module: Draft) -> str:
    name = _bind(random, module, "number")
    return f"{name} = 1\ndef bump():\n    global {name}\n    {name} += {random.randint(1, 9)}\nbump()"


def augmented(random: Random, _: Project, module: Draft) -> str:
    numbers = module.of("number")
    return f"{random.choice(numbers)} += {random.randint(1, 9)}" if numbers else ""


def conditional(random: Random, project: Project, module: Draft) -> str:
    test = value_of(random, project, module)
    name = _bind(random, module, "number")
    return f"if {test} > {random.randint(0, 9)}:\n    {name} = {random.randint(0, 9)}\nelse:\n    {name} = 1"


def attempted(random: Random, project: Project, module: Draft) -> str:
    found = _importable(random, project, module.name, n=1)
    if not found or project[found[0][0]].kinds[found[0][1]] != "number":
        return ""
    source, name = found[0]
    module.kinds[name] = "number"
    return f"try:\n    from {source} import {name}\nexcept ImportError:\n    {name} = {random.randint(0, 9)}"


def star(random: Random, project: Project, module: Draft) -> str:
    sources = [name for name in project if name in NAMES_OF_MODULES and name != module.name]
    if not sources:
        return ""
    source = random.choice(sources)
    module.kinds |= project[source].kinds
    return f"from {source} import *"


def by_globals(random: Random, _: Project, module: Draft) -> str:
    numbers = module.of("number")
    if not numbers:
        return ""
    hidden = random.choice(numbers)
    return f"def {_bind(random, module, 'function')}(x):\n    return x + globals()['{hidden[0]}' + '{hidden[1]}']"


def by_getattr(random: Random, project: Project, module: Draft) -> str:
    aliases = [name for name, kind in module.kinds.items() if kind.startswith("lib")]
    if not aliases:
        return ""
    alias = random.choice(aliases)
    numbers = project[module.kinds[alias]].of("number")
    if not numbers:
        return ""
    hidden = random.choice(numbers)
    return (
        f"def {_bind(random, module, 'function')}(x):\n    return x + getattr({alias}, '{hidden[0]}' + '{hidden[1]}')"
    )


def by_subclasses(random: Random, _: Project, module: Draft) -> str:
    classes = module.of("class")
    if not classes:
        return ""
    counted = random.choice(classes)
    return f"def {_bind(random, module, 'function')}(x):\n    return x + len({counted}.__subclasses__())"


MAKERS: list[Maker] = [
    constant, constant, computed, a_list, a_list, function, function, function, late_import, appender, a_class, a_class,
    import_name, import_name, import_name, import_name, import_module, import_module, append, patch, register_kept,
    register_decorated, loop, rebound_by_call, augmented, conditional, attempted,
]  # fmt: skip
IMPORTING: list[Maker] = [import_name, import_module]
REFLECTING: list[Maker] = [watcher, star, by_globals, by_getattr, by_subclasses]


OF_SCENE = re.compile(r"[a-zA-Z][5-9]\b|import lib")
"""A look that finds the statements of scenes, and some others."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Statements of several modules that together give a value, by a way that chance would seldom find."""

    statements: tuple[tuple[str, str], ...]
    value: str


LIST = "L9 = []\ndef add9(x):\n    L9.append(x)\n    return x"
SCENES = [
    Scene(
        statements=(("lib.m0", LIST), ("lib.m1", f"from lib.m0 import add9, L9\n{act}"), ("root", "import lib.m1")),
        value="sum(lib.m0.L9)",
    )
    for act in (
        "L9.append(3)",
        "kept9 = add9(4)",
        "kept9 = [add9(one) for one in (1, 2)]",
        "kept9 = list(map(add9, (5, 6)))",
        "for one9 in range(3):\n    add9(one9)",
        "@(lambda f: add9(2) and f)\ndef more9():\n    pass",
        "def more9(x=add9(7)):\n    pass",
        "class More9:\n    v = add9(8)",
        "def work9():\n    add9(1)\nkept9 = work9()",
        "if add9(2) > 1:\n    kept9 = 1",
        "L9 += [5]",
    )
] + [
    Scene(
        statements=(
            ("lib.m0", "L8 = []"),
            ("lib.m1", "from lib.m0 import L8 as mine8\nmine8.append(4)"),
            ("lib.p.m2", "from lib.m0 import L8 as mine8\nmine8.append(6)"),
            ("root", "import lib.m1"),
            ("root", "import lib.p.m2"),
        ),
        value="lib.m0.L8[0]",
    ),
    Scene(
        statements=(
            ("lib.m0", "C7 = 1\ndef read7():\n    return C7"),
            ("lib.m1", "import lib.m0 as to_patch7\nto_patch7.C7 = 5"),
            ("root", "import lib.m1\nfrom lib.m0 import read7"),
        ),
        value="read7()",
    ),
    Scene(
        statements=(
            ("lib.p.m2", "def late6():\n    from lib.m1 import C6 as found6\n    return found6"),
            ("lib.m1", "C6 = 3"),
            ("root", "from lib.p.m2 import late6"),
        ),
        value="late6()",
    ),
]  # fmt: skip
SCENES.append(
    Scene(statements=(("lib.m0", "C4 = 2"), ("lib.m0", "C4 = C4 + 3"), ("root", "import lib.m0")), value="lib.m0.C4")
)
REFLECTING_SCENES = [
    Scene(
        statements=(
            ("lib.m0", "C5 = 4"),
            ("lib.m0", "def hidden5():\n    return globals()['C' + '5']"),
            ("root", "from lib.m0 import hidden5"),
        ),
        value="hidden5()",
    ),
    Scene(
        statements=(("lib.m0", "C5 = 4"), ("root", "from lib import m0 as held5")), value="getattr(held5, 'C' + '5')"
    ),
    Scene(
        statements=(
            ("lib.m0", "class W5:\n    told = []\n    def __init_subclass__(cls):\n        W5.told.append(cls.v)"),
            ("lib.m1", "from lib.m0 import W5\nclass Told5(W5):\n    v = 4"),
            ("root", "import lib.m1\nfrom lib.m0 import W5"),
        ),
        value="sum(W5.told)",
    ),
]


def random_edit(random: Random, project: Project) -> tuple[Project, str]:
    """Another project that differs in one thing, and the kind of the edit."""
    for _ in range(20):
        edited, kind = _edit(random, project)
        if edited != project:
            return edited, kind
    return project, "none"


def _edit(random: Random, project: Project) -> tuple[Project, str]:
    edited = {name: Draft(name, list(one.statements), dict(one.kinds)) for name, one in project.items()}
    name = random.choice([*[name for name in FILES if edited[name].statements], "root"])
    statements = edited[name].statements
    last = len(statements) - (name == "root")  # `run` stays where it is
    kind = random.choice(["number"] * 4 + ["delete", "insert", "insert", "swap", "source", "copy"])
    of_scenes = [at for at in range(last) if OF_SCENE.search(statements[at])]
    at = random.choice(of_scenes if of_scenes and random.random() < 0.7 else range(last)) if last else 0
    if kind == "number":
        statements[at] = _other_number(random, statements[at])
    elif kind == "delete" and last:
        del statements[at]
    elif kind == "insert":
        holder = Draft(name, [], dict(edited[name].kinds))
        edited[name].statements = holder.statements
        add_statement(random, edited | {name: holder}, name, may_reflect=True)
        statements[random.randint(0, last) : 0] = []
        edited[name].statements = statements
        place = random.randint(0, last)
        statements[place:place] = holder.statements
    elif kind == "swap" and last > 1:
        other = random.randrange(last)
        statements[at], statements[other] = statements[other], statements[at]
    elif kind == "source":
        old, new = random.sample(list(NAMES_OF_MODULES), 2)
        statements[at] = statements[at].replace(f"from {old} import", f"from {new} import")
    elif kind == "copy" and last > 1:
        statements[at] = statements[random.randrange(last)]
    return edited, kind


def project_of(scene: Scene) -> Project:
    """A project of nothing but a scene."""
    project = {name: Draft(name) for name in FILES}
    for name, statement in scene.statements:
        project[name].statements.append(statement)
    project["root"].statements.append(f"def run():\n    return {scene.value}")
    return project


def small_edits(project: Project) -> Iterator[Project]:
    """The project without one of its statements, and with another number in each place."""
    for name, one in project.items():
        for at, statement in enumerate(one.statements):
            numbers = [place.start() for place in re.finditer(r"\b[0-9]\b", statement)]
            changed = [f"{statement[:place]}{9 - int(statement[place])}{statement[place + 1 :]}" for place in numbers]
            for other in ["", *changed]:
                statements = [*one.statements[:at], other, *one.statements[at + 1 :]]
                if name != "root" or at != len(one.statements) - 1:  # which is the function itself
                    yield project | {name: Draft(name, statements)}


def with_what_is_not_reached(random: Random, project: Project) -> Project:
    """The same project with other writing, and with a function and a constant that nothing names."""
    edited = {}
    for name, one in project.items():
        statements = [f"# {random.random()}\n{statement}\n\n" for statement in one.statements]
        extra = [
            f"def unused_{random.randint(0, 9)}(x):\n    '''{random.random()}'''\n    return x + {random.random()}",
            f"UNUSED_{random.randint(0, 9)} = {random.random()}",
        ]
        at = random.randint(0, len(statements))
        edited[name] = Draft(name, [f"'''{random.random()}'''", *statements[:at], *extra, *statements[at:]])
    return edited


def output_and_version(project: Project, folder: Path) -> tuple[str, str]:
    """What a project returns when it is run afresh, and the version of its `run`."""
    for name, file in FILES.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(project[name].statements) + "\n")
    with importable(folder):
        stub: dict[str, FunctionType] = {}
        exec(compile("def run(): pass", folder / "root.py", "exec"), {"__name__": "root"}, stub)
        version = code_version(stub["run"], packages=("lib",), parameters={}, libraries=())
        try:
            return repr(importlib.import_module("root").run()), version
        except Exception as error:  # noqa: BLE001  # a project may be wrong in any way
            return f"{FAILED}{type(error).__name__}: {error}", version


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Import from a folder, without traces of what was imported from another."""
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = writes
        for name in [name for name in sys.modules if name == "root" or name.partition(".")[0] == "lib"]:
            del sys.modules[name]


def _bind(random: Random, module: Draft, kind: str) -> str:
    name = random.choice(NAMES[kind])
    module.kinds[name] = kind
    return name


def _free_name(random: Random, module: Draft, kind: str) -> str:
    """A name that is forgotten in the module until it is bound, lest a definition calls itself for ever."""
    name = random.choice(NAMES[kind])
    module.kinds.pop(name, None)
    return name


def _importable(random: Random, project: Project, module: str, n: int) -> list[tuple[str, str]]:
    """Names of other modules that may be imported, as (module, name)."""
    found = [(one.name, name) for one in project.values() if one.name != module for name in one.kinds]
    return random.sample(found, min(n, len(found)))


def _other_number(random: Random, statement: str) -> str:
    """The statement with another number in the place of one of its numbers."""
    places = [at for at, sign in enumerate(statement) if sign.isdigit() and not statement[at - 1].isalnum()]
    if not places:
        return statement
    at = random.choice(places)
    return f"{statement[:at]}{random.randint(0, 9)}{statement[at + 1 :]}"
