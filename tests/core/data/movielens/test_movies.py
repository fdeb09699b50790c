"""Titles part from their years, genres become lists, and a catalogue that contradicts itself is refused."""

import io

import pytest

from recsys_core.data.fields import Quarantine
from recsys_core.data.movielens.layouts import GENRE_FLAGS, ML_100K
from recsys_core.data.movielens.lines import blocks
from recsys_core.data.movielens.movies import movie_rows, split_title, without_repeats
from recsys_core.data.movielens.records import Plan
from recsys_core.errors import DataError

PLAN = Plan(file="movies.csv", columns=("movieId", "title", "genres"), delimiter=",", has_header=True)
PLAN_100K = Plan(file="u.item", columns=ML_100K.movies.columns, delimiter="|", has_header=False)


def read(text: str, plan: Plan = PLAN) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Accepted rows without their lines, and rejected rows."""
    quarantine = Quarantine(plan.file, 1.0)
    rows, n_lines = movie_rows(blocks(io.BytesIO(text.encode()), plan.file, "utf-8", []), plan, quarantine)
    assert rows.height + len(quarantine) == n_lines
    return without_repeats(rows, plan.file).rows(), quarantine.table().rows()


@pytest.mark.parametrize(
    ("text", "title", "year"),
    [
        ("Heat (1995)", "Heat", 1995),
        ("Heat (1995) ", "Heat", 1995),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("Land Before Time III (1995) (V)", "Land Before Time III (V)", 1995),
        ("Death Note: Desu n\u00f4to (2006\u20132007)", "Death Note: Desu n\u00f4to", 2006),
        ("Fawlty Towers (1975-1979)", "Fawlty Towers", 1975),
        ("Babylon 5", "Babylon 5", None),
        ("Amelie (Fabuleux destin, Le) (2001)", "Amelie (Fabuleux destin, Le)", 2001),
        ("Movie (3000)", "Movie (3000)", None),
        ("(1995)", "", 1995),
        ("", "", None),
        ("unknown", "unknown", None),
        ("Line\nbreak (1999)", "Line\nbreak", 1999),
        ("\U0001f3ac (2015)", "\U0001f3ac", 2015),
        ("=HYPERLINK(1) (1999)", "=HYPERLINK(1)", 1999),
        ("Cafe\u0301 (1999)", "Caf\u00e9", 1999),
    ],
)
def test_a_title_parts_from_its_year(text: str, title: str, year: int | None) -> None:
    parted = split_title(text)
    assert (parted.title, parted.year) == (title, year)


def test_the_same_title_composed_or_decomposed_is_one_title() -> None:
    assert split_title("Le\u0301on (1994)") == split_title("L\u00e9on (1994)")


@pytest.mark.parametrize(
    ("text", "genres"),
    [("Drama|Comedy", ["Drama", "Comedy"]), ("(no genres listed)", []), ("", []), ("IMAX", ["IMAX"])],
)
def test_genres_become_a_list(text: str, genres: list[str]) -> None:
    assert read(f"1,Heat (1995),{text}\n")[0] == [(1, "Heat", genres, 1995)]


def test_100k_flags_its_genres_and_unknown_means_none() -> None:
    flags = {"none": ["0"] * 19, "unknown": ["1"] + ["0"] * 18, "two": ["0", "1"] + ["0"] * 16 + ["1"]}
    lines = [f"{item}|Heat (1995)|01-Jan-1995||url|{'|'.join(flag)}" for item, flag in enumerate(flags.values())]
    rows, rejected = read("\n".join(lines) + "\n", PLAN_100K)
    assert [row[2] for row in rows] == [[], [], ["Action", "Western"]]
    assert rejected == []


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("1.0,Heat (1995),Drama", "movieId", "not a whole number"),
        (f"1,{'x' * 501},Drama", "title", "longer than 500 characters"),
        ("1,Heat (1995),Drama||Comedy", "genres", "a genre without a name"),
        ("1,Heat, The (1995),Drama", "", "too many fields"),
        ("1,Heat (1995)", "", "too few fields"),
        ('1,"Heat (1995),Drama', "", "bad quote"),
    ],
)
def test_a_bad_line_is_set_aside_with_its_place(line: str, column: str, reason: str) -> None:
    rows, rejected = read(f"8,Eight (1999),Drama\n{line}\n9,Nine (1999),Drama\n")
    assert [row[0] for row in rows] == [8, 9]
    assert [row[:4] for row in rejected] == [("movies.csv", 2, column, reason)]


def test_a_genre_flag_is_0_or_1() -> None:
    _, rejected = read(f"1|Heat (1995)|||url|{'|'.join(['0', '2'] + ['0'] * 17)}\n", PLAN_100K)
    assert rejected == [("u.item", 1, GENRE_FLAGS[1], "not 0 or 1", "2")]


def test_a_line_cut_short_at_the_end_of_the_file_is_set_aside_as_such() -> None:
    assert read("1,Heat (1995),Drama\n2,Toy St")[1] == [("movies.csv", 2, "", "truncated last line", "2,Toy St")]


def test_line_numbers_stay_right_after_a_quoted_line_end() -> None:
    _, rejected = read('1,"One\n\nline (1999)",Drama\n2,Two\n')
    assert rejected == [("movies.csv", 4, "", "too few fields", "2,Two")]


def test_an_equal_line_is_dropped_and_movies_are_sorted_by_id() -> None:
    rows, _ = read("7,Heat (1995),Drama\n3,Heat (1995),Drama\n7,Heat (1995),Drama\n")
    assert [row[0] for row in rows] == [3, 7]


@pytest.mark.parametrize("other", ["7,Ronin (1995),Drama", "7,Heat (1996),Drama", "7,Heat (1995),Crime"])
def test_one_id_for_two_movies_is_a_conflict(other: str) -> None:
    with pytest.raises(DataError, match=r"movies\.csv conflicts with itself: movieId 7 is 'Heat' .* line 2, but .* 4"):
        read(f"1,One (1999),Drama\n7,Heat (1995),Drama\n2,Two (1999),Drama\n{other}\n")
