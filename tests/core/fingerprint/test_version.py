"""A version changes when behaviour may have changed, and not when only the writing has."""

import importlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recsys_core.evaluation.end_to_end import evaluate_end_to_end
from recsys_core.fingerprint import code_version, definitions_reached
from recsys_core.fingerprint import version as fingerprint
from recsys_core.monitoring.parity import parity_report
from recsys_core.ranking.ranker import fit_ranker
from recsys_core.retrieval.candidates import find_candidates

FILES = {
    "core/__init__.py": '"""The core."""\nORDER = []\nORDER.append(1)\nUNREAD = 5\n',
    "core/config.py": "class Settings:\n    k: int = 10\n",
    "core/data/__init__.py": "from core.data.extra import more\n",
    "core/data/extra.py": "def more(): return 1\n",
    "core/data/clean.py": "from ..shared import scale\nfrom core.config import Settings\n"
    "def clean(x, settings: Settings): return scale(x) + settings.k\n",
    "core/shared.py": "def scale(x): return 2 * x\n",
    "core/late.py": "def late(x): return x\n",
    "core/plain.py": "def plain(x): return x\n",
    "core/passed/__init__.py": "from core.passed.inner import fold\n",
    "core/passed/inner.py": "def fold(x): return x\n",
    "core/unrelated.py": "def unrelated(): return 1\n",
    "core/typed.py": "class Typed: pass\n",
    "assets/__init__.py": "",
    "assets/config.py": "",
    "assets/stage.py": '''
        """Assets."""
        import functools
        import core.plain
        from core import unrelated
        from core.data.clean import clean
        from core.passed import fold
        from core.typed import Typed

        LIMIT = 3
        try:
            import orjson
            FAST = True
        except ImportError:
            FAST = False

        def asset(**kwargs):
            return lambda function: function

        def helper(x):
            return clean(deeper(x))

        def deeper(x):
            return x + LIMIT

        @asset(group="a")
        def cleaned(x):
            """The cleaned rows."""
            return helper(x)

        @asset(group="b")
        def other(x: "Typed"):
            from core.late import late
            return late(unrelated.unrelated())

        def dotted(x):
            return core.plain.plain(x)

        def folded(x, flag=FAST):
            return fold(x, description="how it folds")

        def factory():
            def made(x):
                return fold(x)
            return made

        class Thing:
            limit = 1
            def method(self):
                return clean(self.limit)

        wrapped = functools.wraps(cleaned)(lambda x: cleaned(x))
        nameless = lambda x: x
    ''',
}  # fmt: skip

Edit = Callable[[str, str, str], None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two small packages, importable for one test."""
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("core", "assets")]:
        del sys.modules[name]


@pytest.fixture
def edit(project: Path) -> Edit:
    def change(name: str, old: str, new: str) -> None:
        path = project / name
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))
        later = path.stat().st_mtime_ns + 1_000_000_000  # an edit by hand is never in the same tick
        os.utime(path, ns=(later, later))

    return change


def version(name: str, **changes: object) -> str:
    function = getattr(importlib.import_module("assets.stage"), name)
    settings = {"packages": ("core",), "parameters": {"x": 1}, "libraries": ["pytest"]} | changes
    return code_version(function, **settings)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("assets/stage.py", '"""The cleaned rows."""', '"""Rows, cleaned."""', id="docstring"),
        pytest.param("assets/stage.py", '    """The cleaned rows."""\n', "", id="no docstring"),
        pytest.param("assets/stage.py", "return helper(x)", "return helper(\n        x,\n    )  # why", id="format"),
        pytest.param("assets/stage.py", 'group="a"', 'group="z"', id="decorator of the root"),
        pytest.param("assets/stage.py", "return late(", "return 1 + late(", id="another asset"),
        pytest.param("assets/stage.py", "limit = 1", "limit = 2", id="a class that is not used"),
        pytest.param("core/shared.py", "def scale", '"""Shared."""\n\n\ndef scale', id="docstring of a module"),
        pytest.param("core/config.py", "10", "11", id="a setting"),
        pytest.param("core/unrelated.py", "1", "2", id="a module used by another asset alone"),
        pytest.param("core/late.py", "return x", "return -x", id="a module imported inside another asset"),
        pytest.param("core/data/extra.py", "1", "2", id="what a package on the way passes on"),
        pytest.param("core/__init__.py", "5", "6", id="what a package on the way binds"),
    ],
)
def test_what_is_not_behaviour_leaves_the_version(file: str, old: str, new: str, edit: Edit) -> None:
    before = version("cleaned")
    edit(file, old, new)
    assert version("cleaned") == before


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        pytest.param("cleaned", "assets/stage.py", "return helper(x)", "return helper(-x)", id="body"),
        pytest.param("cleaned", "assets/stage.py", "return x + LIMIT", "return x - LIMIT", id="helper of a helper"),
        pytest.param("cleaned", "assets/stage.py", "LIMIT = 3", "LIMIT = 4", id="constant of a helper"),
        pytest.param("cleaned", "core/data/clean.py", "+ settings", "- settings", id="imported function"),
        pytest.param("cleaned", "core/shared.py", "2 * x", "3 * x", id="relative import of an imported module"),
        pytest.param("cleaned", "core/__init__.py", "(1)", "(2)", id="what a package on the way does"),
        pytest.param("other", "core/late.py", "return x", "return -x", id="import inside the function"),
        pytest.param("other", "core/unrelated.py", "1", "2", id="a module imported from its package"),
        pytest.param("dotted", "core/plain.py", "return x", "return -x", id="dotted import"),
        pytest.param("folded", "core/passed/inner.py", "return x", "return -x", id="passed on by a package"),
        pytest.param("folded", "assets/stage.py", "FAST = False", "FAST = None", id="a constant under a condition"),
        pytest.param("Thing.method", "assets/stage.py", "limit = 1", "limit = 2", id="the class of a method"),
        pytest.param("factory.made", "assets/stage.py", "return made", "return None or made", id="a factory"),
    ],
)
def test_what_is_behaviour_changes_the_version(name: str, file: str, old: str, new: str, edit: Edit) -> None:
    def now() -> str:
        stage = importlib.import_module("assets.stage")
        functions = {"Thing.method": stage.Thing.method, "factory.made": stage.factory()}
        function = functions.get(name) or getattr(stage, name)
        return code_version(function, packages=("core",), parameters={}, libraries=())

    before = now()
    edit(file, old, new)
    assert now() != before


def test_a_text_for_people_in_a_call_does_not_count(edit: Edit) -> None:
    before = version("folded")
    edit("assets/stage.py", "how it folds", "the way it folds")
    assert version("folded") == before


def test_an_edit_that_is_taken_back_brings_the_old_version_back(edit: Edit) -> None:
    before = version("cleaned")
    edit("core/shared.py", "2 * x", "3 * x")
    edit("core/shared.py", "3 * x", "2 * x")
    assert version("cleaned") == before


@pytest.mark.usefixtures("project")
def test_parameters_and_libraries_count_and_their_order_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    base = version("cleaned", parameters={"x": 1, "y": [1, 2]}, libraries=["pytest", "numpy"])
    assert base == version("cleaned", parameters={"y": [1, 2], "x": 1}, libraries=["numpy", "pytest"])
    assert base != version("cleaned", parameters={"x": 1, "y": [2, 1]}, libraries=["pytest", "numpy"])
    assert base != version("cleaned", parameters={"x": 1, "y": [1, 2]}, libraries=["pytest"])
    monkeypatch.setattr(fingerprint, "library_version", lambda name: "99")
    assert base != version("cleaned", parameters={"x": 1, "y": [1, 2]}, libraries=["pytest", "numpy"])


@pytest.mark.usefixtures("project")
def test_a_library_that_is_not_installed_has_a_version_too() -> None:
    assert version("cleaned", libraries=["no-such-library"]) != version("cleaned", libraries=[])


@pytest.mark.usefixtures("project")
def test_a_parameter_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        version("cleaned", parameters={"x": object()})


@pytest.mark.usefixtures("project")
def test_what_counts_is_told_by_module_and_name() -> None:
    stage = importlib.import_module("assets.stage")
    here = tuple(f"assets.stage:{name}" for name in ("LIMIT", "cleaned", "deeper", "helper", "wrapped"))
    reached = (*here, "core.config:Settings", "core.data.clean:clean", "core.shared:scale", "core:ORDER", "core:line 3")
    assert definitions_reached(stage.cleaned, packages=("core",)) == tuple(sorted(reached))
    assert definitions_reached(stage.wrapped, packages=("core",)) == tuple(sorted(reached))
    followed = (*here, "core.data.clean:clean", "core:ORDER", "core:line 3")
    assert definitions_reached(stage.cleaned, packages=("core.data",)) == tuple(sorted(followed))


@pytest.mark.usefixtures("project")
def test_a_package_whose_name_begins_like_ours_is_not_ours() -> None:
    stage = importlib.import_module("assets.stage")
    reached = definitions_reached(stage.cleaned, packages=("cor",))
    assert {name.partition(":")[0] for name in reached} == {"assets.stage"}


def test_modules_that_import_each_other_are_followed(edit: Edit) -> None:
    edit(
        "core/shared.py",
        "def scale(x): return",
        "import core.data.clean\ndef scale(x): return core.data.clean.clean or",
    )
    stage = importlib.import_module("assets.stage")
    assert "core.shared:scale" in definitions_reached(stage.cleaned, packages=("core",))


@pytest.mark.usefixtures("project")
def test_a_function_without_a_source_has_no_version() -> None:
    stage = importlib.import_module("assets.stage")
    shell: dict[str, Callable[[], int]] = {}
    exec("def typed(): return 1", shell)
    for function in (len, shell["typed"], stage.nameless):
        with pytest.raises(ValueError, match="version"):
            code_version(function, parameters={}, libraries=())


def test_the_modules_reached_are_read_and_not_imported(project: Path) -> None:
    code = (
        "import sys; from assets.stage import other; from recsys_core.fingerprint import code_version;"
        "code_version(other, packages=('core',), parameters={}, libraries=()); print('core.late' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.usefixtures("project")
def test_a_version_that_is_known_takes_milliseconds() -> None:
    version("cleaned")
    started = time.process_time()
    for _ in range(20):
        version("cleaned")
    assert (time.process_time() - started) / 20 < 0.01


def test_threads_may_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when several rankers are loaded at a time: what is known of the sources is filled while it is asked."""
    functions = [find_candidates, fit_ranker, evaluate_end_to_end, parity_report] * 4
    alone = [code_version(one, parameters={}, libraries=[]) for one in functions]
    monkeypatch.setattr(fingerprint, "_programs", {})
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(lambda one: code_version(one, parameters={}, libraries=[]), functions)) == alone
    finally:
        sys.setswitchinterval(before)
