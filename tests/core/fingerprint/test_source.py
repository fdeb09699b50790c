"""How a module is found and cut into statements."""

from pathlib import Path

from recsys_core.fingerprint.source import find, load


def statements(folder: Path, text: str) -> list[set[str]]:
    path = folder / "m.py"
    path.write_bytes(text.encode())
    return [set(one.binds) for one in load(path, "p.m").statements]


def test_an_import_of_several_names_is_several_statements(tmp_path: Path) -> None:
    assert statements(tmp_path, "from a import b, c as d\nimport e.f, g\n") == [{"b"}, {"d"}, {"e"}, {"g"}]


def test_what_no_import_runs_is_no_statement(tmp_path: Path) -> None:
    text = (
        "'text'\nfrom t import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nif __name__ == '__main__':\n    b = 1\n"
    )
    assert statements(tmp_path, text) == [{"TYPE_CHECKING"}]
    assert statements(tmp_path, "if __name__ != '__main__':\n    b = 1\n") == [{"b"}]
    assert statements(tmp_path, "if TYPE_CHECKING:\n    a = 1\nelse:\n    a = 2\n") == [{"a"}]


def test_statements_of_one_line_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("x = 1; y = 2\nz = 1\n")
    x, y, z = load(path, "m").statements
    path.write_text("\ufeffx = 1\ny = 2\n", encoding="utf-8")
    assert [one.digest for one in load(path, "m").statements] == [x.digest, y.digest]
    assert z.digest != x.digest


def test_a_function_is_read_with_its_decorators_and_bare_without(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("@a\n@b(\n    1\n)\ndef f(): return 1\n\ndef f(): return 1\n")
    decorated, plain = load(path, "m").statements
    assert decorated.digest != plain.digest
    assert decorated.bare.digest == plain.digest == plain.bare.digest


def test_a_module_is_found_by_its_path_and_one_without_source_is_not() -> None:
    found = find("recsys_core.fingerprint.source")
    assert found is not None
    assert found.name == "source.py"
    assert find("recsys_core.fingerprint") == found.with_name("__init__.py")
    assert find("recsys_core.nowhere") is None
    assert find("math") is None
