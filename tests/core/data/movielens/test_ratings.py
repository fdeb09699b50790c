"""The fast way and the slow way to read ratings agree, and of repeated ratings the latest is kept."""

import io
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recsys_core.data.config import ReadingConfig
from recsys_core.data.fields import Quarantine
from recsys_core.data.movielens.lines import blocks
from recsys_core.data.movielens.ratings import deduplicated, rating_rows
from recsys_core.data.movielens.records import Plan
from recsys_core.errors import DataError

COLUMNS = ("userId", "movieId", "rating", "timestamp")
PLAN = Plan(file="ratings.csv", columns=COLUMNS, delimiter=",", has_header=True)
LATEST = 1_500_000_000
CONFIG = ReadingConfig(max_bad_share=1.0, latest_timestamp=LATEST)

numbers = st.sampled_from(
    [
        "1",
        "31",
        "0",
        "-1",
        "007",
        "3.0",
        "",
        "9007199254740991",
        "9007199254740992",
        "9223372036854775807",
        "9223372036854775808",
        "five",
    ]
)
stars = st.sampled_from(["0.5", "4", "4.0", "4.00", "3.7", "11", "nan", "", "1e0", " 4.0"])
times = st.sampled_from(["789652009", "789652008", str(LATEST), str(LATEST + 1), "1260759144000", "1.5e9", ""])
rows = st.tuples(numbers, numbers, stars, times).map(",".join)
odd_lines = st.sampled_from(["", " ", "1,2", "1,2,3.5,1000000000,9", ",".join(COLUMNS), "1,2,4.0,1000000000\r"])
texts = st.lists(st.one_of(rows, st.just("1,2,3.5,1000000000"), odd_lines), min_size=1, max_size=12)


def read(
    text: str, plan: Plan = PLAN, block_bytes: int = 1 << 20
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], int]:
    """Accepted rows, rejected rows, number of lines."""
    quarantine = Quarantine("ratings.csv", 1.0)
    found = blocks(io.BytesIO(text.encode()), "ratings.csv", "utf-8", [], block_bytes=block_bytes)
    table, n_lines = rating_rows(found, plan, CONFIG, quarantine)
    return table.rows(), quarantine.table().rows(), n_lines


@given(texts, st.sampled_from(["\n", ""]), st.integers(1, 60))
@example(["1,2"], "", 60)
@example([""], "\n", 60)
def test_the_fast_way_and_the_slow_way_agree(lines: list[str], end: str, block_bytes: int) -> None:
    text = "\n".join(["8,8,4.0,1000000000", *lines]) + end  # a first line end, or a lone CR refuses the file
    fast = read(text)
    # A quoted number is the same number, but sends its whole block the slow way.
    slow = read('"9","9","4.0","1000000000"\n' + text)
    assert slow[0] == [(9, 9, 4.0, 1_000_000_000), *fast[0]]
    assert slow[1] == [(row[0], row[1] + 1, *row[2:]) for row in fast[1]]
    assert read(text, block_bytes=block_bytes) == fast
    assert len(fast[0]) + len(fast[1]) == fast[2]


written_times = st.sampled_from(
    [
        *("2005-04-02 23:53:47", "2005-04-02T23:53:47", "2005-04-02T23:53:47Z", "2005-04-02 23:53:47.5+02:00"),
        *("2005-04-02", "2005-04-02 24:00:00", "2005-02-30 00:00:00", "1112486027", ""),
        *("1994-01-01 00:00:00", "2017-07-15 00:00:00"),
    ]
)
written_rows = st.tuples(numbers, numbers, stars, written_times).map(",".join)


@pytest.mark.slow
@given(st.lists(written_rows, min_size=1, max_size=12), st.integers(1, 60))
def test_the_two_ways_agree_on_written_times(lines: list[str], block_bytes: int) -> None:
    plan = replace(PLAN, has_written_times=True)
    text = "\n".join(["8,8,4.0,2005-04-02 23:53:47", *lines]) + "\n"
    fast = read(text, plan, block_bytes)
    slow = read('"9","9","4.0","2005-04-02 23:53:47"\n' + text, plan)
    assert slow[0] == [(9, 9, 4.0, 1_112_486_027), *fast[0]]
    assert slow[1] == [(row[0], row[1] + 1, *row[2:]) for row in fast[1]]


def test_rows_keep_the_order_of_the_file_whichever_way_they_took() -> None:
    text = "3,1,4.0,1000000000\n1,1,4.00,1000000000\n2,1,4.0,1000000000\n"
    assert [row[0] for row in read(text)[0]] == [3, 1, 2]


@pytest.mark.parametrize("delimiter", ["::", "\t", "|"])
def test_without_a_header_a_quote_is_an_ordinary_character(delimiter: str) -> None:
    plan = Plan(file="ratings.dat", columns=COLUMNS, delimiter=delimiter, has_header=False)
    text = f'1,31,4,1000000000\n"1,31,4,1000000000\n{",".join(COLUMNS)}\n'.replace(",", delimiter)
    accepted, rejected, n_lines = read(text, plan)
    assert accepted == [(1, 31, 4.0, 1_000_000_000)]
    assert rejected == [
        ("ratings.csv", 2, "userId", "not a whole number", '"1'),
        ("ratings.csv", 3, "userId", "not a whole number", "userId"),
    ]
    assert n_lines == 3


def test_a_further_column_may_be_empty_but_not_missing() -> None:
    plan = Plan(file="ratings.csv", columns=(*COLUMNS, "mood"), delimiter=",", has_header=True)
    accepted, rejected, _ = read("1,31,4,1000000000,\n2,31,4,1000000000\n3,31,4,1000000000,glad\n", plan)
    assert [row[0] for row in accepted] == [1, 3]
    assert rejected == [("ratings.csv", 2, "", "too few fields", "2,31,4,1000000000")]


def test_a_hopeless_file_is_refused_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_core.data.fields.EARLY_STOP", 10)
    found = blocks(io.BytesIO(b"x\n" * 1000), "ratings.csv", "utf-8", [], block_bytes=100)
    with pytest.raises(DataError, match="50 of 50 lines"):
        rating_rows(found, PLAN, CONFIG, Quarantine("ratings.csv", 0.01))


def table(*rows: tuple[int, int, float, int]) -> pl.DataFrame:
    schema = {"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Float32, "timestamp": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_the_latest_rating_of_a_pair_is_kept_and_equal_rows_count_apart() -> None:
    kept = deduplicated(table((1, 7, 3.0, 20), (1, 7, 5.0, 30), (1, 7, 4.0, 10), (2, 7, 4.0, 10), (2, 7, 4.0, 10)))
    assert kept.table.rows() == [(2, 7, 4.0, 10), (1, 7, 5.0, 30)]
    assert (kept.n_exact, kept.n_replaced) == (1, 2)


def test_of_two_ratings_in_one_second_the_later_in_the_file_is_kept() -> None:
    assert deduplicated(table((1, 7, 3.0, 20), (1, 7, 5.0, 20))).table["rating"].to_list() == [5.0]
    assert deduplicated(table((1, 7, 5.0, 20), (1, 7, 3.0, 20))).table["rating"].to_list() == [3.0]


def test_ratings_are_sorted_by_time_then_user_then_item() -> None:
    kept = deduplicated(table((2, 1, 3.0, 20), (1, 9, 5.0, 20), (1, 8, 5.0, 20), (3, 1, 3.0, 10)))
    assert [row[:2] for row in kept.table.rows()] == [(3, 1), (1, 8), (1, 9), (2, 1)]
    assert (kept.n_exact, kept.n_replaced) == (0, 0)


pairs = st.tuples(st.integers(1, 2), st.integers(1, 2), st.sampled_from([1.0, 2.0]), st.integers(1, 3))


@given(st.lists(pairs, max_size=12))
def test_repeats_agree_with_a_loop_over_the_rows(rated: list[tuple[int, int, float, int]]) -> None:
    latest: dict[tuple[int, int], tuple[int, int, float, int]] = {}
    for row in rated:
        if row[:2] not in latest or row[3] >= latest[row[:2]][3]:
            latest[row[:2]] = row
    kept = deduplicated(table(*rated))
    assert kept.table.rows() == sorted(latest.values(), key=lambda row: (row[3], row[0], row[1]))
    assert kept.n_exact == len(rated) - len(set(rated))
    assert kept.n_exact + kept.n_replaced + kept.table.height == len(rated)
