"""What counts for a function, rule by rule; each rule in a program of a few lines."""

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from types import FunctionType

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from recsys_core.fingerprint import code_version, definitions_reached
from tests.core.fingerprint.random_projects import (
    FAILED,
    REFLECTING_SCENES,
    SCENES,
    Project,
    Scene,
    importable,
    output_and_version,
    project_of,
    random_edit,
    random_project,
    small_edits,
    with_what_is_not_reached,
)

Files = Mapping[str, str]


def asked(folder: Path, files: Files, question: Callable[..., object] = code_version) -> object:
    """What is said of `run` in `app.py`, where `lib` is followed."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        for package in path.relative_to(folder).parents:
            (folder / package / "__init__.py").touch()
    scope: dict[str, FunctionType] = {}
    exec(compile("def run(): pass", folder / "app.py", "exec"), {"__name__": "app"}, scope)
    settings = {"parameters": {}, "libraries": ()} if question is code_version else {}
    with importable(folder):
        return question(scope["run"], packages=("lib",), **settings)


def differs(folder: Path, files: Files, file: str, old: str, new: str) -> bool:
    """Whether an edit changes the version."""
    assert old in files[file]
    edited = {**files, file: files[file].replace(old, new)}
    return asked(folder / "before", files) != asked(folder / "after", edited)


A = """
    LIMIT = 3
    OTHER = 4
    REGISTRY = []
    UNREAD = []

    def used(x):
        return helper(x)

    def helper(x):
        return x + LIMIT

    def unused(x):
        return x + OTHER

    def register(x):
        REGISTRY.append(x)
        return x

    def note(x):
        UNREAD.append(x)
        return x

    class Thing:
        size = 1
        def get(self):
            return self.size
"""

CALLS_USED = "from lib.a import used\ndef run():\n    return used(1)\n"
READS_REGISTRY = "from lib.a import REGISTRY\nimport lib.b\ndef run():\n    return len(REGISTRY)\n"


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        pytest.param("return helper(x)", "return -helper(x)", True, id="the function"),
        pytest.param("return x + LIMIT", "return x - LIMIT", True, id="what it calls"),
        pytest.param("LIMIT = 3", "LIMIT = 5", True, id="a constant of that"),
        pytest.param("return x + OTHER", "return x - OTHER", False, id="a function beside it"),
        pytest.param("OTHER = 4", "OTHER = 5", False, id="a constant of that one"),
        pytest.param("size = 1", "size = 2", False, id="a class beside it"),
        pytest.param("    OTHER = 4\n", "    OTHER = 4\n    NEW = 5\n", False, id="a new constant"),
        pytest.param("    LIMIT = 3\n", "    LIMIT = 3\n    LIMIT = LIMIT + 1\n", True, id="a name bound again"),
        pytest.param("    LIMIT = 3\n", "    LIMIT = 3\n    print('so')\n", True, id="something done at import"),
        pytest.param("    LIMIT = 3\n", "    import math\n    LIMIT = 3\n", False, id="a library imported"),
        pytest.param("    LIMIT = 3\n", "    import math as LIMIT\n", True, id="a library under a name in use"),
    ],
)
def test_a_function_reaches_definitions_and_not_modules(tmp_path: Path, old: str, new: str, *, counts: bool) -> None:
    assert differs(tmp_path, {"app.py": CALLS_USED, "lib/a.py": A}, "lib/a.py", old, new) == counts


@pytest.mark.parametrize(
    "app",
    [
        pytest.param("from lib.a import used\ndef run():\n    return used(1)\n", id="a name"),
        pytest.param("from lib.a import used as other\ndef run():\n    return other(1)\n", id="a name renamed"),
        pytest.param("import lib.a\ndef run():\n    return lib.a.used(1)\n", id="a dotted module"),
        pytest.param("import lib.a as m\ndef run():\n    return m.used(1)\n", id="a module renamed"),
        pytest.param("from lib import a\ndef run():\n    return a.used(1)\n", id="a module from its package"),
        pytest.param("def run():\n    from lib.a import used\n    return used(1)\n", id="an import inside"),
        pytest.param("def run():\n    import lib.a\n    return lib.a.used(1)\n", id="a dotted import inside"),
        pytest.param(
            "try:\n    from lib.a import used\nexcept OSError:\n    pass\ndef run():\n    return used(1)\n", id="tried"
        ),
        pytest.param("from lib.pass_on import used\ndef run():\n    return used(1)\n", id="passed on"),
        pytest.param("from lib.pass_on import known\ndef run():\n    return known(1)\n", id="passed on, renamed"),
        pytest.param("from lib import pass_on\ndef run():\n    return pass_on.m.used(1)\n", id="a module passed on"),
        pytest.param("from lib.a import used\nhere = used\ndef run():\n    return here(1)\n", id="another name"),
        pytest.param("from lib.a import used\ndef run(f=used):\n    return f(1)\n", id="a default"),
        pytest.param("from lib.a import used\nTABLE = [used]\ndef run():\n    return TABLE[0](1)\n", id="a table"),
        pytest.param("from lib.a import *\ndef run():\n    return used(1)\n", id="a star"),
        pytest.param("class J:\n    from lib.a import used\ndef run():\n    return J.used(1)\n", id="inside a class"),
    ],
)  # fmt: skip
def test_a_definition_is_followed_however_it_is_imported(app: str, tmp_path: Path) -> None:
    passing_on = "from lib.a import used\nfrom lib.a import used as known\nfrom lib import a as m\n"
    files = {"app.py": app, "lib/a.py": A, "lib/pass_on/__init__.py": passing_on}
    assert differs(tmp_path / "helper", files, "lib/a.py", "return x + LIMIT", "return x - LIMIT")
    is_star = "*" in app
    assert differs(tmp_path / "beside", files, "lib/a.py", "return x + OTHER", "return x - OTHER") == is_star


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("REGISTRY.append(LATE)", id="a call"),
        pytest.param("REGISTRY[:] = [LATE]", id="an item"),
        pytest.param("REGISTRY += [LATE]", id="an augmented assignment"),
        pytest.param("a.LIMIT = LATE", id="an attribute of a module"),
        pytest.param("setattr(a, 'LIMIT', LATE)", id="setattr"),
        pytest.param("_ = setattr(a, 'LIMIT', LATE)", id="setattr, its result kept"),
        pytest.param("for one in [LATE]:\n    REGISTRY.append(one)", id="a loop"),
        pytest.param("with open('x', LATE):\n    pass", id="a block"),
        pytest.param("del a.LIMIT, LATE", id="a deletion"),
        pytest.param("assert LATE", id="an assertion"),
        pytest.param("if LATE:\n    REGISTRY.append(1)", id="a call under a condition"),
        pytest.param("kept = register(LATE)", id="a call, its result kept"),
        pytest.param("kept = [register(one) for one in [LATE]]", id="a call for each of several"),
        pytest.param("kept = list(map(register, [LATE]))", id="a function handed to a call"),
        pytest.param("kept = REGISTRY.append(LATE)", id="a method, its result kept"),
        pytest.param("kept = sorted([LATE], key=REGISTRY.append)", id="a list handed to a call"),
        pytest.param("@register\ndef more():\n    return LATE", id="a decorator"),
        pytest.param("@register\nclass More:\n    size = LATE", id="a decorator of a class"),
        pytest.param("def more(x=register(LATE)): pass", id="a default"),
        pytest.param("class More:\n    size = register(LATE)", id="a class body"),
        pytest.param("class More:\n    @register\n    def get(self): return LATE", id="a decorator of a method"),
        pytest.param("import atexit\n@atexit.register\ndef more():\n    return LATE", id="a decorator of a library"),
        pytest.param("def work():\n    register(LATE)\nkept = work()", id="a call of a call"),
        pytest.param("def work():\n    import lib.c\nkept = work()", id="a call that imports what acts"),
        pytest.param("if (kept := register(LATE)): pass", id="a name bound on the way"),
        pytest.param("exec('LIMIT = 1')\nkept = LATE", id="code in a string"),
    ],
)
def test_what_is_done_at_import_counts(line: str, tmp_path: Path) -> None:
    b = f"from lib import a\nfrom lib.a import REGISTRY, register\nLATE = 1\n{line}\n"
    files = {
        "app.py": READS_REGISTRY,
        "lib/a.py": A,
        "lib/b.py": b,
        "lib/c.py": "import lib.a\nlib.a.REGISTRY.append(1)\n",
    }
    edited = line.replace("LATE", "(LATE + 1)") if "del" not in line else "del a.LIMIT"
    edited = edited if edited != line else line.replace("= work()", "= None").replace("LIMIT = 1", "LIMIT = 2")
    assert differs(tmp_path, files, "lib/b.py", line, edited)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("kept = note(1)", id="a call that changes what is not read"),
        pytest.param("kept = len('1')", id="a builtin"),
        pytest.param("import re\nkept = re.compile('1')", id="a library"),
        pytest.param("kept = LIMIT + 1", id="a sum"),
        pytest.param("@note\ndef more(): return 1", id="a decorator that changes what is not read"),
        pytest.param("from functools import cache\n@cache\ndef more(): return 1", id="a decorator that only wraps"),
        pytest.param("class More:\n    size = 1", id="a class"),
        pytest.param("if LIMIT:\n    kept = 1\nelse:\n    kept = 2", id="a conditional binding"),
        pytest.param("if __name__ == '__main__':\n    REGISTRY.append(1)", id="what only a script does"),
        pytest.param(
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lib.a import Thing as T1", id="types"
        ),
    ],
)
def test_what_only_binds_other_names_at_import_does_not_count(line: str, tmp_path: Path) -> None:
    b = f"from lib.a import LIMIT, REGISTRY, note\n{line}\n"
    files = {"app.py": READS_REGISTRY, "lib/a.py": A, "lib/b.py": b}
    assert not differs(tmp_path, files, "lib/b.py", line, line.replace("1", "3"))


@pytest.mark.parametrize(
    "importing",
    [
        pytest.param({"lib/a.py": "import lib.b\n"}, id="by the module of a helper"),
        pytest.param({"lib/a.py": "import lib.c\n", "lib/c.py": "import lib.b\n"}, id="by what that imports"),
        pytest.param({"lib/a.py": "class Inner:\n    import lib.b\n"}, id="inside a class"),
        pytest.param({"lib/a.py": "", "lib/__init__.py": "import lib.b\n"}, id="by the package"),
        pytest.param({"lib/a.py": "", "app.py": "import lib.b\n"}, id="beside the function"),
    ],
)  # fmt: skip
def test_what_a_module_does_counts_wherever_it_is_imported(importing: Files, tmp_path: Path) -> None:
    files = {
        "app.py": importing.get("app.py", "") + CALLS_USED,
        "lib/b.py": "import warnings\nwarnings.simplefilter('error')\n",
    }
    files |= {name: text for name, text in importing.items() if name != "app.py"}
    files["lib/a.py"] = files["lib/a.py"] + textwrap.dedent(A)
    assert differs(tmp_path, files, "lib/b.py", "error", "ignore")


def test_what_is_imported_by_a_function_that_is_not_reached_does_not_count(tmp_path: Path) -> None:
    a = textwrap.dedent(A).replace("    return x + OTHER", "    import lib.b\n    return x")
    files = {"app.py": CALLS_USED, "lib/a.py": a, "lib/b.py": "print(1)\n"}
    assert not differs(tmp_path, files, "lib/b.py", "1", "2")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("globals()['un' + 'used'](1)", id="globals"),
        pytest.param("eval('unused(1)')", id="eval"),
        pytest.param("exec('unused(1)')", id="exec"),
        pytest.param("vars()['unused'](1)", id="vars of nothing"),
        pytest.param("helper.__globals__['unused'](1)", id="the globals of a function"),
        pytest.param("sys.modules[__name__].unused(1)", id="sys.modules"),
        pytest.param("inspect.getmodule(helper).unused(1)", id="the module of a function"),
        pytest.param("inspect.currentframe().f_globals['unused'](1)", id="the frame"),
    ],
)
def test_code_that_names_what_nobody_can_read_reaches_its_whole_module(line: str, tmp_path: Path) -> None:
    a = "import inspect, sys\n" + textwrap.dedent(A).replace("return helper(x)", f"return {line}")
    assert differs(tmp_path, {"app.py": CALLS_USED, "lib/a.py": a}, "lib/a.py", "return x + OTHER", "return x - OTHER")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("getattr(a, 'un' + 'used')(1)", id="getattr"),
        pytest.param("vars(a)", id="vars"),
        pytest.param("a.__dict__", id="its dictionary"),
        pytest.param("[a]", id="in a list"),
        pytest.param("a.made_later", id="a name that it does not bind"),
        pytest.param("importlib.import_module('lib.a').unused(1)", id="imported by a string"),
        pytest.param("__import__('lib.a')", id="imported by a builtin"),
    ],
)
def test_a_module_that_is_used_as_a_value_counts_as_a_whole(line: str, tmp_path: Path) -> None:
    app = f"import importlib\nfrom lib import a\ndef run():\n    return {line}\n"
    assert differs(tmp_path, {"app.py": app, "lib/a.py": A}, "lib/a.py", "return x + OTHER", "return x - OTHER")


def test_a_package_that_is_used_as_a_value_counts_with_all_its_modules(tmp_path: Path) -> None:
    files = {"app.py": "import lib\ndef run():\n    return vars(lib)\n", "lib/below/a.py": A}
    assert differs(tmp_path, files, "lib/below/a.py", "return x + OTHER", "return x - OTHER")


WATCHER = "class Base:\n    told = []\n    def __init_subclass__(cls):\n        Base.told.append(cls.__name__)\n"
META = "class Meta(type):\n    def __init__(*given): pass\nclass Base(metaclass=Meta):\n    told = []\n"


@pytest.mark.parametrize(
    ("base", "said"),
    [
        pytest.param(WATCHER, "Base.told", id="init_subclass"),
        pytest.param("class Base: pass\n", "Base.__subclasses__()", id="subclasses"),
        pytest.param(META, "Base.told", id="metaclass"),
    ],
)
def test_where_a_class_learns_of_those_made_from_it_all_of_them_count(base: str, said: str, tmp_path: Path) -> None:
    app = f"from lib.a import Base\nimport lib.b\ndef run():\n    return {said}\n"
    files = {"app.py": app, "lib/a.py": base, "lib/b.py": "from lib.a import Base\nclass Made(Base): pass\n"}
    assert differs(tmp_path / "name", files, "lib/b.py", "Made", "Other")
    plain = files | {"lib/a.py": "class Base:\n    told = []\n", "app.py": app.replace(said, "Base.told")}
    assert not differs(tmp_path / "plain", plain, "lib/b.py", "Made", "Other")


CLASSES = """
    from dataclasses import dataclass, field
    from lib.parts import Base, Field, Quoted, deco, start

    @deco
    class Made(Base):
        one: Field
        two: "list[Quoted]"
        three: list = field(default_factory=start)
        def unread(self):
            return 1
"""
PARTS = """
    class Base: a = 1
    class Field: b = 1
    class Quoted: c = 1
    def deco(x): return x or 1
    def start(): return [1]
    class Apart: d = 1
"""


@pytest.mark.parametrize(
    ("file", "old", "counts"),
    [
        pytest.param("lib/b.py", "return 1", True, id="each method"),
        pytest.param("lib/parts.py", "a = 1", True, id="its base"),
        pytest.param("lib/parts.py", "b = 1", True, id="an annotation"),
        pytest.param("lib/parts.py", "c = 1", True, id="an annotation in quotes"),
        pytest.param("lib/parts.py", "x or 1", True, id="its decorator"),
        pytest.param("lib/parts.py", "[1]", True, id="the default of a field"),
        pytest.param("lib/parts.py", "d = 1", False, id="a class beside these"),
    ],
)
def test_a_class_counts_as_a_whole(tmp_path: Path, file: str, old: str, *, counts: bool) -> None:
    app = "from lib.b import Made\ndef run():\n    return Made(1, [])\n"
    files = {"app.py": app, "lib/b.py": CLASSES, "lib/parts.py": PARTS}
    assert differs(tmp_path, files, file, old, old.replace("1", "2")) == counts


SETTINGS = """
    from pydantic import BaseModel

    BOUND = 9

    class Parent(BaseModel):
        low: int = 1

    class Settings(Parent):
        width: int = 5
        def doubled(self):
            return 2 * self.width
"""
TYPED = "from lib.config import Settings\ndef run(config: Settings):\n    return config.doubled()\n"
BUILT = "from lib.config import Settings\ndef run(config: Settings):\n    return Settings().doubled()\n"
AS_FORM = (
    "from lib.config import Settings\nclass Form(Settings): pass\ndef run(config: Form):\n    return config.width\n"
)


@pytest.mark.parametrize(
    ("app", "old", "counts"),
    [
        pytest.param(TYPED, "width: int = 5", False, id="a field whose value is a parameter"),
        pytest.param(TYPED, "low: int = 1", False, id="a field of a parent"),
        pytest.param(TYPED, "2 * self.width", True, id="a method"),
        pytest.param(AS_FORM, "width: int = 5", False, id="a field of a form"),
        pytest.param(AS_FORM, "2 * self.width", True, id="a method of a form's parent"),
        pytest.param(BUILT, "width: int = 5", True, id="a field of settings that the code builds"),
        pytest.param(BUILT, "low: int = 1", True, id="a field of their parent"),
        pytest.param(
            "from lib.config import BOUND\ndef run():\n    return BOUND\n", "BOUND = 9", True, id="a constant"
        ),
    ],
)
def test_settings_count_without_their_fields_unless_the_code_builds_them(
    tmp_path: Path, app: str, old: str, *, counts: bool
) -> None:
    number = old[-1] if old[-1].isdigit() else "2"
    assert (
        differs(tmp_path, {"app.py": app, "lib/config.py": SETTINGS}, "lib/config.py", old, old.replace(number, "7"))
        == counts
    )


def test_the_order_of_imports_counts_where_modules_act(tmp_path: Path) -> None:
    acting = "from lib.a import REGISTRY\nREGISTRY.append({})\n"
    app = "import lib.b\nimport lib.c\nfrom lib.a import REGISTRY\ndef run():\n    return REGISTRY\n"
    files = {"app.py": app, "lib/a.py": A, "lib/b.py": acting.format(1), "lib/c.py": acting.format(2)}
    assert differs(tmp_path, files, "app.py", "import lib.b\nimport lib.c", "import lib.c\nimport lib.b")


def test_the_order_of_functions_does_not_count(tmp_path: Path) -> None:
    one, other = "def one():\n    return 1\n", "def other():\n    return 2\n"
    app = "from lib.a import one, other\ndef run():\n    return one() + other()\n"
    assert not differs(tmp_path, {"app.py": app, "lib/a.py": one + other}, "lib/a.py", one + other, other + one)


def test_two_definitions_that_change_places_are_told_apart(tmp_path: Path) -> None:
    app = "from lib.a import f\nfrom lib.b import f as g\ndef run():\n    return f() - g()\n"
    files = {"app.py": app, "lib/a.py": "def f(): return 1\n", "lib/b.py": "def f(): return 2\n"}
    swapped = "from lib.b import f\nfrom lib.a import f as g"
    assert differs(tmp_path, files, "app.py", "from lib.a import f\nfrom lib.b import f as g", swapped)


def test_a_library_taken_from_elsewhere_counts(tmp_path: Path) -> None:
    files = {"app.py": "from json import loads\ndef run():\n    return loads('1')\n"}
    assert differs(tmp_path, files, "app.py", "from json", "from marshal")


def test_where_a_neighbour_lies_that_is_not_followed_does_not_count(tmp_path: Path) -> None:
    files = {
        "app.py": "from lib.a import used\nfrom app_store import store\ndef run():\n    return store(used)\n",
        "lib/a.py": A,
    }
    assert differs(tmp_path / "library", files, "app.py", "app_store", "app_shelf")
    inside = {name: text.replace("app_store", "app.store") for name, text in files.items()}
    assert not differs(tmp_path / "neighbour", inside, "app.py", "app.store", "app.shelf")


def test_the_definitions_that_are_reached_can_be_listed(tmp_path: Path) -> None:
    a = A + "\n    print(1)\n"
    found = asked(tmp_path, {"app.py": CALLS_USED, "lib/a.py": a}, definitions_reached)
    assert found == ("app:run", "lib.a:LIMIT", "lib.a:helper", "lib.a:line 29", "lib.a:used")


@pytest.mark.parametrize(
    "scene", [*SCENES, *REFLECTING_SCENES], ids=lambda scene: scene.statements[1][1].partition("\n")[2]
)
def test_whatever_changes_what_a_scene_returns_changes_the_version(scene: Scene, tmp_path: Path) -> None:
    project = project_of(scene)
    before, version = output_and_version(project, tmp_path / "before")
    assert FAILED not in before
    n_changed = 0
    for number, edited in enumerate(small_edits(project)):
        after, other_version = output_and_version(edited, tmp_path / str(number))
        is_changed = FAILED not in after and after != before
        n_changed += is_changed
        assert not is_changed or other_version != version, edited
    assert n_changed


def seeded(seed: int, *, may_reflect: bool) -> tuple[Random, Project]:
    random = Random(seed)
    return random, random_project(random, may_reflect=may_reflect)


@given(seed=st.integers(0, 2**32))
def test_no_edit_to_any_project_changes_what_it_returns_and_keeps_the_version(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    random, project = seeded(seed, may_reflect=bool(seed % 2))
    edited, kind = random_edit(random, project)
    folder = tmp_path_factory.mktemp("random")
    before, version = output_and_version(project, folder / "before")
    after, other_version = output_and_version(edited, folder / "after")
    if FAILED in before + after:  # there is no result to keep
        event("an error")
        return
    event(f"{kind}: {'another' if after != before else 'the same'} output, {version != other_version=}")
    assert after == before or other_version != version


@pytest.mark.slow
@given(seed=st.integers(0, 2**32))
def test_other_writing_and_unused_definitions_change_no_version(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    random, project = seeded(seed, may_reflect=False)
    folder = tmp_path_factory.mktemp("random")
    before = output_and_version(project, folder / "before")
    assert output_and_version(with_what_is_not_reached(random, project), folder / "after")[1] == before[1]


@pytest.mark.slow
def test_random_edits_change_what_is_returned_often_enough_to_tell(tmp_path: Path) -> None:
    counts = {"changed": 0, "kept, as the version": 0}
    for seed in range(80):
        random, project = seeded(seed, may_reflect=False)
        edited, _ = random_edit(random, project)
        before = output_and_version(project, tmp_path / f"{seed}/before")
        after = output_and_version(edited, tmp_path / f"{seed}/after")
        is_result = FAILED not in before[0] + after[0]
        counts["changed"] += is_result and before[0] != after[0]
        counts["kept, as the version"] += is_result and before == after
    assert counts["changed"] >= 10
    assert counts["kept, as the version"] >= 10
