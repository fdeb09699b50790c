"""What is read from a piece of syntax."""

import ast

import pytest

from recsys_core.fingerprint.syntax import bound_by, is_literal, is_record, names_in, reflects, written


@pytest.mark.parametrize(
    ("code", "names"),
    [
        pytest.param("x = y = 1", {"x", "y"}, id="assignments"),
        pytest.param("(x, [y, *z]) = 1", {"x", "y", "z"}, id="unpacking"),
        pytest.param("x.y = z[0] = 1", set(), id="attributes and items"),
        pytest.param("if (x := 1):\n    y: int = 2\nelse:\n    z += 3", {"x", "y", "z"}, id="branches"),
        pytest.param("try:\n    import a.b\nexcept E as x:\n    from c import d as y", {"a", "x", "y"}, id="imports"),
        pytest.param("for x in y:\n    with z as w:\n        del v", {"x", "w", "v"}, id="blocks"),
        pytest.param(
            "match x:\n    case [y, *z]: pass\n    case {'a': w, **v}: pass", {"y", "z", "w", "v"}, id="match"
        ),
        pytest.param("x = [y for y in (lambda z: z)(1)]", {"x"}, id="scopes of their own"),
        pytest.param("def f(x):\n    y = 1", {"f"}, id="a function"),
        pytest.param("class A:\n    x = 1", {"A"}, id="a class"),
    ],
)
def test_a_statement_binds_the_names_of_its_own_scope(code: str, names: set[str]) -> None:
    assert set(bound_by(ast.parse(code).body[0])) == names


def test_names_are_told_apart_by_how_they_are_used() -> None:
    code = "def f(x: 'list[T]', y: m.U = a.b) -> R:\n    'd'\n    return g(h, k(description=t).l)"
    found = names_in(ast.parse(code))
    assert found.called == {("g",), ("k",)}
    assert found.values == {("a", "b"), ("h",)}
    assert found.types == {("list",), ("T",), ("m", "U"), ("R",)}
    assert found.returned == {("R",)}


def test_what_only_people_read_is_not_written() -> None:
    code = "class A:\n    x = 1\n    def f(self):\n        return g(1, description='{}')\n"
    described = f"'one'\n{code.replace('x = 1', 'x = 1;  chr').replace('chr', '')}"
    assert written(ast.parse(code.format("a")).body) == written(ast.parse(described.format("b")).body)
    assert written(ast.parse("x[1:]")) != written(ast.parse("x[:1]"))
    assert written(ast.parse("x = 1")) != written(ast.parse("x = 1.0"))
    assert written(ast.parse("x = '1'")) != written(ast.parse("x = b'1'"))


def test_code_that_hides_what_it_names_is_told_from_code_that_looks_like_it() -> None:
    assert all(reflects(ast.parse(code)) for code in ("globals()", "sys.modules[x]", "vars()", "i.import_module(x)"))
    assert not any(reflects(ast.parse(code)) for code in ("model.eval()", "model.modules()", "vars(x)", "'globals'"))


def test_a_literal_is_what_nobody_can_change() -> None:
    literal = ("1", "-1.5", "'a'", "(1, 'a')", "1 << 20", "float('nan')", "TypeVar('T')")
    assert all(is_literal(ast.parse(code, mode="eval").body) for code in literal)
    assert not any(is_literal(ast.parse(code, mode="eval").body) for code in ("[1]", "f()", "x", "(1, [])"))


def test_a_record_holds_nothing_that_its_objects_share() -> None:
    def is_one(body: str) -> bool:
        (node,) = ast.parse(f"class A:\n    {body}").body
        assert isinstance(node, ast.ClassDef)
        return is_record(node)

    assert all(map(is_one, ("x: int", "x: int = 1", "x: list = field(default_factory=list)", "def f(self): return 1")))
    assert not any(map(is_one, ("x = []", "x: list = []", "def f(cls): cls.x = 1", "def f(self): type(self).x = 1")))
