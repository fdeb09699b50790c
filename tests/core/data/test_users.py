"""Users are read from both layouts that tell of them; where they live is left behind."""

import io

import pytest

from recsys_core.data.layouts import ML_1M, ML_100K, TableLayout
from recsys_core.data.lines import blocks
from recsys_core.data.quarantine import Quarantine
from recsys_core.data.records import Plan
from recsys_core.data.users import user_rows, without_repeats
from recsys_core.errors import DataError

LAYOUTS = {"100k": ML_100K.users, "1m": ML_1M.users}


def read(text: str, layout: TableLayout | None) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    assert layout is not None
    plan = Plan(file=layout.file, columns=layout.columns, delimiter=layout.delimiter, has_header=False)
    quarantine = Quarantine(layout.file, 1.0)
    rows, _ = user_rows(blocks(io.BytesIO(text.encode()), layout.file, "utf-8", []), plan, quarantine)
    return without_repeats(rows, layout.file).rows(), quarantine.table().rows()


def test_both_layouts_give_the_same_table_sorted_by_id() -> None:
    rows, _ = read("2|53|F|writer|94043\n1|24|M|scientist|85711\n", LAYOUTS["100k"])
    assert rows == [(1, 24, "M", "scientist"), (2, 53, "F", "writer")]
    assert read("2::F::53::20::94043\n1::M::24::15::85711\n", LAYOUTS["1m"])[0] == rows


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("x::F::25::1::0", "userId", "not a whole number"),
        ("1::X::25::1::0", "gender", "not F or M"),
        ("1::F::131::1::0", "age", "above 130"),
        ("1::F::25::21::0", "occupation", "an unknown number"),
        ("1::F::25", "", "too few fields"),
    ],
)
def test_a_bad_line_is_set_aside_with_its_place(line: str, column: str, reason: str) -> None:
    rows, rejected = read(f"8::M::25::1::0\n{line}\n", LAYOUTS["1m"])
    assert [row[0] for row in rows] == [8]
    assert [row[:4] for row in rejected] == [("users.dat", 2, column, reason)]


def test_an_equal_line_is_dropped_and_another_for_the_same_user_is_a_conflict() -> None:
    line = "1|24|M|scientist|85711\n"
    assert len(read(line * 2, LAYOUTS["100k"])[0]) == 1
    with pytest.raises(DataError, match="lines 1 and 2 describe user 1 differently"):
        read(line + "1|25|M|scientist|85711\n", LAYOUTS["100k"])
