"""Lines become records with the right line numbers, also across quoted line ends and stray quotes."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.movielens.layouts import CSV, ML_100K
from recsys_core.data.movielens.lines import Block, blocks
from recsys_core.data.movielens.records import Plan, Record, plan_of, records
from recsys_core.errors import DataError

PLAN = Plan(file="movies.csv", columns=("movieId", "title", "genres"), delimiter=",", has_header=True)


def read(text: str, block_bytes: int = 1 << 20) -> list[Record]:
    found = blocks(io.BytesIO(text.encode()), "movies.csv", "utf-8", [], block_bytes=block_bytes)
    return [record for block in records(found, PLAN) for record in block]


def outcome(record: Record) -> tuple[int, object]:
    return record.line, record.bad.reason if record.bad else record.fields


field = st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=8)


@given(st.lists(st.lists(field, min_size=3, max_size=3), max_size=8), st.integers(1, 30))
def test_what_the_csv_module_writes_is_read_back_at_any_block_size(rows: list[list[str]], block_bytes: int) -> None:
    rows = [["1", *row[1:]] for row in rows]  # a record of blanks is a blank line
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(rows)
    found = read(target.getvalue(), block_bytes)
    assert [record.fields for record in found] == rows
    lines = [1 + sum(1 + "".join(row).count("\n") for row in rows[:at]) for at in range(len(rows))]
    assert [record.line for record in found] == lines


@pytest.mark.parametrize("block_bytes", [1, 5, 1 << 20])
def test_a_stray_quote_costs_its_own_line_only(block_bytes: int) -> None:
    text = '1,"Open,Drama\n2,"Two, the",Drama\n3,Three "x",Drama\n4,"Fo"ur,Drama\n5,"A ""b""\nc",Drama\n6,Six,Drama\n'
    assert [outcome(record) for record in read(text, block_bytes)] == [
        (1, "bad quote"),
        (2, ["2", "Two, the", "Drama"]),
        (3, "bad quote"),
        (4, "bad quote"),
        (5, ["5", 'A "b"\nc', "Drama"]),
        (7, ["6", "Six", "Drama"]),
    ]


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
def test_a_quote_that_is_never_closed_costs_its_own_line_only(end: str, block_bytes: int) -> None:
    text = '1,"Open,Drama\n2,Two,Drama\n3,"Again,Drama\n4,Four,Drama' + end
    assert [outcome(record) for record in read('1,One,Drama\n5,"Open,Drama\n2,Two,Drama' + end, block_bytes)] == [
        (1, ["1", "One", "Drama"]),
        (2, "bad quote"),
        (3, ["2", "Two", "Drama"]),
    ]
    assert [record.line for record in read(text, block_bytes)] == [1, 2, 3, 4]


def test_an_open_quote_far_from_the_end_does_not_swallow_the_file() -> None:
    found = read('1,"Open,Drama\n' + "2,Two,Drama\n" * 500)
    assert [outcome(record)[1] for record in found[:2]] == ["bad quote", ["2", "Two", "Drama"]]
    assert len(found) == 501


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "blank line"),
        ("   ", "blank line"),
        ("1,Heat", "too few fields"),
        ("1,Heat, The,Drama", "too many fields"),
        ("movieId,title,genres", "header again"),
        ("1," + "x" * 10_000_000 + ",Drama", "line too long"),
    ],
)
def test_a_line_that_is_no_record_says_why(line: str, reason: str) -> None:
    assert [outcome(record) for record in read(f"1,One,Drama\n{line}\n2,Two,Drama\n")] == [
        (1, ["1", "One", "Drama"]),
        (2, reason),
        (3, ["2", "Two", "Drama"]),
    ]


def test_characters_that_only_python_takes_for_line_ends_stay_in_the_title() -> None:
    assert read("1,a\u2028b\x0bc,Drama\n")[0].fields[1] == "a\u2028b\x0bc"


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("timestamp,userId,rating,movieId", "ratings.csv has its columns in the order timestamp,userId,rating,movieId"),
        (
            "userId,movieId,rating,timestamp,mood",
            "ratings.csv has further columns, which are ignored: mood",
        ),
        ("userId;movieId;rating;timestamp", "ratings.csv is delimited by ';'"),
    ],
)
def test_columns_are_found_by_name(header: str, note: str) -> None:
    notes: list[str] = []
    plan, rest = plan_of(CSV.ratings, Block(text=f"{header}\n1,2\n", first_line=1), notes)
    assert set(plan.columns) >= set(CSV.ratings.columns)
    assert (rest.text, rest.first_line, notes) == ("1,2\n", 2, [note])


@pytest.mark.parametrize(
    "header",
    ["1,31,2.5,1260759144", "userId,movieId,rating", "userId,userId,movieId,rating,timestamp", "u::m::r::t", ""],
)
def test_a_header_that_does_not_name_each_column_once_is_refused(header: str) -> None:
    with pytest.raises(DataError, match="line 1: expected the header userId,movieId,rating,timestamp, found"):
        plan_of(CSV.ratings, Block(text=f"{header}\n1,2\n", first_line=1), [])


def test_a_layout_without_header_loses_no_line() -> None:
    first = Block(text="1\t2\t3\t881250949\n", first_line=1)
    assert plan_of(ML_100K.ratings, first, [])[1] is first
