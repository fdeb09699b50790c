"""The version of a function: a hash over everything that counts."""

import gc
import hashlib
import importlib.metadata
import inspect
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from recsys_core.fingerprint.program import Program
from recsys_core.fingerprint.reach import Reached, reached

OURS = ("recsys_core",)


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
    counted = _reached(function, packages)
    content = {
        "anywhere": sorted({_entry(one) for one in counted if not one.depends_on_order}),
        "in order": [_entry(one) for one in counted if one.depends_on_order],
        "parameters": dict(parameters),
        "libraries": {name: library_version(name) for name in libraries},
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def definitions_reached(function: Callable[..., object], *, packages: Sequence[str] = OURS) -> tuple[str, ...]:
    """The statements that count for the version of a function, to explain it: `module:name`, or `module:line 7`.

    Raises:
        ValueError: The function's source cannot be found.
    """
    return tuple(sorted({_label(one) for one in _reached(function, packages) if not one.statement.is_import}))


def _entry(one: Reached) -> str:
    return f"{one.module} {one.statement.digest}"


def _label(one: Reached) -> str:
    names = ",".join(sorted(one.statement.binds))
    return f"{one.module}:{names or f'line {one.statement.line}'}"


def _reached(function: Callable[..., object], packages: Sequence[str]) -> list[Reached]:
    function = inspect.unwrap(function)
    name, module = getattr(function, "__qualname__", repr(function)).partition(".")[0], function.__module__
    path = _file_of(function)
    with _one_at_a_time, _garbage_collection_paused():
        program = _program(tuple(packages), module.partition(".")[0], path.parent)
        if name not in program.add(module, path).binding:
            raise ValueError(
                f"{module} defines no {name} by a statement of its own: only named functions have a version"
            )
        return reached(program, module, name)


_one_at_a_time = threading.Lock()
"""Guards the programs: they are filled on demand, and several threads may load rankers, which need feature versions."""

_programs: dict[tuple[tuple[str, ...], str, Path], Program] = {}


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pause Python's cyclic garbage collector, which would repeatedly scan millions of syntax nodes in vain.

    Reference counts free the trees. Without the pause, loading the definitions takes some 12 % longer.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _program(packages: tuple[str, ...], top: str, folder: Path) -> Program:
    """The program of the packages for functions of a folder, cached as long as no file changes."""
    known = _programs.get((packages, top, folder))
    if known is None or not known.is_current():
        known = _programs[packages, top, folder] = Program(packages, top)
    return known


def _file_of(function: Callable[..., object]) -> Path:
    path = inspect.getsourcefile(function) if inspect.isroutine(function) and hasattr(function, "__code__") else None
    if path is None or not Path(path).is_file():
        raise ValueError(f"{function!r} has no source file, so its version cannot be told: define it in a module")
    return Path(path)


@cache
def library_version(name: str) -> str:
    """The installed version of a distribution when this process first read it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"  # as good a version as any: installing the library changes it
