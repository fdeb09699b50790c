"""A change hits the one place that it names, and nothing else; what it cannot place is refused."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from recsys_assets.assets import retrieval
from recsys_assets.checks.ranking import features_keep_their_contract
from recsys_core import tables
from recsys_core.data import schemas
from recsys_core.features.items import item_days_known
from tests.source_edits import append, edit, edited, file_of, name_of

SOURCE = '''"""Something to change: ä, ∑."""

import functools
from contextlib import contextmanager

LIMIT = 3
NAMES: tuple[str, ...] = (
    "first",  # the first
    "second",
)


def scaled(x, by=LIMIT):
    """Twice, and more."""
    total = "ä∑", call(x, 'one',
        deep=[1, 2,],  # a comment
    )
    if x:
        return x + x * 2

    def inner(y):
        return y - LIMIT

    return inner(x), f"{x + 1}"


@functools.cache
def cached(x):
    return x * LIMIT


@contextmanager
def opened(x):
    yield x * LIMIT


def outer():
    def made(x):
        return x - 1

    return made


class Thing:
    size = LIMIT

    @property
    def width(self):
        return self.size

    @functools.cached_property
    def height(self):
        return self.size

    @classmethod
    def new(cls):
        return cls()

    @staticmethod
    def old(x):
        return x

    def both(self, x):
        x = x + 1
        # between
        x = x + 2
        return x
'''


@pytest.fixture(scope="module")
def thing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module above, importable as `things.one` of a package."""
    root = tmp_path_factory.mktemp("sources")
    (root / "things").mkdir()
    (root / "things" / "__init__.py").write_text("EMPTY = 0\n")
    (root / "things" / "one.py").write_text(SOURCE, encoding="utf-8")
    sys.path.insert(0, str(root))
    yield importlib.import_module("things.one")
    sys.path.remove(str(root))
    del sys.modules["things.one"], sys.modules["things"]


def changed(where: object, before: str, after: str) -> dict[str, str]:
    """The lines that differ, as they were -> as they are; for changes that keep the number of lines."""
    was, now = SOURCE.splitlines(), edited(SOURCE, where, before, after).splitlines()
    return {old.strip(): new.strip() for old, new in zip(was, now, strict=True) if old != new}


@pytest.mark.parametrize(
    ("where", "before", "after", "line", "becomes"),
    [
        (lambda m: m.scaled, "x * 2", "x * 3", "return x + x * 2", "return x + (x * 3)"),
        (lambda m: m.cached, "x * LIMIT", "0", "return x * LIMIT", "return (0)"),
        (lambda m: m.opened, "x * LIMIT", "0", "yield x * LIMIT", "yield (0)"),
        (lambda m: m.Thing, "LIMIT", "4", "size = LIMIT", "size = (4)"),
        (lambda m: m.Thing.width, "self.size", "1", "return self.size", "return (1)"),
        (lambda m: m.Thing.height, "self.size", "1", "return self.size", "return (1)"),
        (lambda m: m.Thing.new, "cls()", "None", "return cls()", "return (None)"),
        (lambda m: m.Thing.old, "return x", "return 1", "return x", "return 1"),
        (lambda m: m.Thing.both, "x + 2", "x", "x = x + 2", "x = (x)"),
        (lambda m: m.outer(), "x - 1", "x", "return x - 1", "return (x)"),
        (lambda m: m.outer, "x - 1", "x", "return x - 1", "return (x)"),
        (lambda m: m.scaled, "y - LIMIT", "y", "return y - LIMIT", "return (y)"),
        (lambda m: (m, "LIMIT"), "3", "4", "LIMIT = 3", "LIMIT = (4)"),
        (lambda m: (m, "NAMES"), '"second"', "*()", '"second",', "*(),"),
        (lambda m: m, "import functools", "import functools, os", "import functools", "import functools, os"),
    ],
    ids=[
        "function", "cached", "context manager", "class", "property", "cached property", "class method",
        "static method", "method", "function made by a function", "function that makes one", "nested function",
        "constant", "element of a list", "module",
    ],
)  # fmt: skip
def test_the_definition_is_found_from_its_object(
    thing: ModuleType, where: Callable[[ModuleType], object], before: str, after: str, line: str, becomes: str
) -> None:
    assert changed(where(thing), before, after) == {line: becomes}


def test_formatting_comments_quotes_and_trailing_commas_do_not_matter(thing: ModuleType) -> None:
    now = edited(SOURCE, thing.scaled, 'call(x, "one", deep=[\n    1, 2])', "call(x)")
    assert '    total = "ä∑", (call(x))\n    if x:\n' in now


def test_what_is_put_in_place_of_an_expression_stays_one(thing: ModuleType) -> None:
    assert "return x + (x if x else 1)\n" in edited(SOURCE, thing.scaled, "x * 2", "x if x else 1")


def test_statements_follow_each_other_and_keep_their_indentation(thing: ModuleType) -> None:
    now = edited(SOURCE, thing.Thing.both, "x = x + 1\nx = x + 2", "if x:\n    # so\n    x = 0\n\ny = 1")
    assert (
        "both(self, x):\n        if x:\n            # so\n            x = 0\n\n        y = 1\n        return x\n" in now
    )


def test_a_statement_is_deleted_or_followed_by_another(thing: ModuleType) -> None:
    assert changed(thing.Thing.both, "x = x + 2", "") == {"x = x + 2": "pass"}
    assert "        return x + x * 2\n        x = 0\n" in edited(
        SOURCE, thing.scaled, "return x + x * 2", "return x + x * 2\nx = 0"
    )
    assert "\n@mark\ndef cached(x):\n    return 1\n" in edited(
        SOURCE, thing, "@functools.cache\ndef cached(x):\n    return x * LIMIT", "@mark\ndef cached(x):\n    return 1"
    )


def test_all_else_of_the_file_stays_as_it_was(thing: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    path = tmp_path / file_of(thing.scaled)
    path.write_text(SOURCE, encoding="utf-8")
    assert edit(tmp_path, thing.Thing.width, "self.size", "1") == SOURCE
    now = path.read_text(encoding="utf-8")
    assert now == SOURCE.replace("self.size", "(1)", 1)
    assert append(tmp_path, thing, "ADDED = 1") == now
    assert path.read_text(encoding="utf-8") == f"{now}\n\nADDED = 1\n"


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("x", r"'x' stands 5 times in scaled of things/one.py"),
        ("LIMIT", "stands 2 times"),  # as a default, and in the function within
        ("z", "'z' stands 0 times"),
        ("return x", "stands 0 times"),
        ("return x +", "no Python"),
        ("x + 1", "stands 0 times"),  # within an f-string, which Python 3.11 does not place
    ],
)
def test_no_place_or_several_are_refused(thing: ModuleType, before: str, why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        edited(SOURCE, thing.scaled, before, "0")


def test_what_would_be_no_python_is_refused(thing: ModuleType) -> None:
    with pytest.raises(AssertionError, match="no Python"):
        edited(SOURCE, thing.scaled, "x * 2", "x *")


def test_what_changes_nothing_is_refused(thing: ModuleType) -> None:
    with pytest.raises(AssertionError, match="replaced by itself"):
        edited(SOURCE, thing.Thing.old, "return x", "return x")


def test_what_is_no_definition_or_a_double_one_is_refused(thing: ModuleType) -> None:
    with pytest.raises(AssertionError, match="3 is no definition"):
        edited(SOURCE, 3, "x", "y")
    with pytest.raises(AssertionError, match="LIMIT is defined 2 times"):
        edited(SOURCE + "LIMIT = 4\n", (thing, "LIMIT"), "3", "4")
    with pytest.raises(AssertionError, match="GONE is defined 0 times"):
        edited(SOURCE, (thing, "GONE"), "3", "4")


@pytest.mark.parametrize(
    ("where", "file", "name"),
    [
        (retrieval.faiss_index, "recsys_assets/assets/retrieval.py", "faiss_index"),
        (features_keep_their_contract, "recsys_assets/checks/ranking.py", "features_keep_their_contract"),
        (item_days_known, "recsys_core/features/items.py", "item_days_known"),
        (tables, "recsys_core/tables.py", ""),
        (sys.modules["recsys_core"], "recsys_core/__init__.py", ""),
        ((schemas, "LIKED"), "recsys_core/data/schemas.py", "LIKED"),
    ],
    ids=["asset", "check", "feature", "module", "package", "constant"],
)
def test_what_this_project_declares_is_found(where: object, file: str, name: str) -> None:
    assert (file_of(where), name_of(where)) == (file, name)
