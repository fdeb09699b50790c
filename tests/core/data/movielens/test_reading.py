"""Whole data sets: what is good arrives, what is bad is set aside with its place, and every line is accounted for."""

import gzip
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_core.data.config import ReadingConfig
from recsys_core.data.movielens.reading import (
    Read,
    check_unknown_movies,
    read_dataset,
    read_dated_movies,
    read_movies,
    read_ratings,
    unknown_movies,
)
from recsys_core.data.schemas import MOVIES, QUARANTINE, RATINGS
from recsys_core.errors import DataError

WriteCsv = Callable[..., Path]
HEADER = "userId,movieId,rating,timestamp"
LATEST = 1_500_000_000
CONFIG = ReadingConfig(latest_timestamp=LATEST)
LENIENT = ReadingConfig(max_bad_share=1.0, max_unknown_share=1.0, latest_timestamp=LATEST)


def is_accounted(read: Read) -> bool:
    kinds = ("accepted", "rejected", "exact_repeats", "replaced")
    return sum(read.counts.get(kind, 0) for kind in kinds) == read.counts["lines"]


def test_the_embedded_data_set_is_whole(embedded: Path) -> None:
    dataset = read_dataset(embedded)
    assert (dataset.ratings.height, dataset.movies.height, dataset.ratings["user_id"].n_unique()) == (
        100_004,
        9_066,
        671,
    )
    assert dataset.counts["movies.without_title"] == 5
    assert dataset.rejected.height == 0
    assert dataset.counts["ratings.of_unknown_movies"] == 0
    assert dataset.ratings["timestamp"].min() == 789_652_009


def test_movielens_100k_is_whole(ml_100k: Path) -> None:
    dataset = read_dataset(ml_100k)
    assert (dataset.ratings.height, dataset.movies.height, dataset.ratings["user_id"].n_unique()) == (
        100_000,
        1_682,
        943,
    )
    assert dataset.movies.filter(pl.col("year").is_null()).rows() == [(267, "unknown", [], None)]
    assert dataset.movies.filter(item_id=1412)["title"].item() == (
        "Land Before Time III: The Time of the Great Giving (V)"
    )
    assert dataset.movies.filter(item_id=543)["title"].item() == "Mis\u00e9rables, Les"  # latin-1 in the file
    assert dataset.rejected.height == 0


def test_every_table_keeps_its_schema_and_order(embedded: Path, ml_100k: Path) -> None:
    for path in (embedded, ml_100k):
        dataset = read_dataset(path)
        RATINGS.validate(dataset.ratings)
        MOVIES.validate(dataset.movies)
        QUARANTINE.validate(dataset.rejected)
        assert dataset.ratings.equals(dataset.ratings.sort("timestamp", "user_id", "item_id"))
        assert dataset.movies["item_id"].is_sorted()


def test_a_zip_and_its_unpacked_folder_give_the_same_tables(embedded: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(embedded) as zipped:
        zipped.extractall(tmp_path)
    one, other = read_dataset(embedded), read_dataset(tmp_path / "ml-latest-small")
    assert one.ratings.equals(other.ratings)
    assert one.movies.equals(other.movies)


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("1,21,five,1000000000", "rating", "not a number"),
        ("1,21,NaN,1000000000", "rating", "not a finite number"),
        ("1,21,inf,1000000000", "rating", "not a finite number"),
        ("1,21,11,1000000000", "rating", "outside 0.5 to 5"),
        ("1,21,-1,1000000000", "rating", "outside 0.5 to 5"),
        ("1,21,,1000000000", "rating", "empty"),
        ("1,21,3.7,1000000000", "rating", "off the half-star grid"),
        ("1,21,4.0,-1", "timestamp", "negative"),
        ("1,21,4.0,0", "timestamp", "before MovieLens' first rating"),
        ("1,21,4.0,1260759144000", "timestamp", "milliseconds, not seconds"),
        ("1,21,4.0,1500000001", "timestamp", "from the future"),
        ("1,21,4.0,1.5e9", "timestamp", "not a whole number"),
        ("1,21,4.0,2009-12-14T02:52:24", "timestamp", "not a whole number"),
        ("1,3.0,4.0,1000000000", "movieId", "not a whole number"),
        ("1,3.7,4.0,1000000000", "movieId", "not a whole number"),
        ("1,031,4.0,1000000000", "movieId", "leading zeros"),
        ("-1,21,4.0,1000000000", "userId", "negative"),
        ("9223372036854775808,21,4.0,1000000000", "userId", "beyond int64"),
        ("1,9007199254740992,4.0,1000000000", "movieId", "id beyond 2**53 - 1"),
        ("4611686018427387902,21,4.0,1000000000", "userId", "id beyond 2**53 - 1"),
        (",21,4.0,1000000000", "userId", "empty"),
        ("1,21,4.0", "", "too few fields"),
        ("1,21,4.0,1000000000,x", "", "too many fields"),
        ('1,"21,4.0,1000000000', "", "bad quote"),
        ("", "", "blank line"),
        (HEADER, "", "header again"),
        ("1," + "9" * 10_000_000, "", "line too long"),
    ],
)
def test_a_bad_rating_is_set_aside_with_file_line_column_and_reason(
    write_csv: WriteCsv, valid_lines: list[str], line: str, column: str, reason: str
) -> None:
    read = read_ratings(write_csv([*valid_lines[:5], line, *valid_lines[5:]]), CONFIG)
    assert read.rejected.rows() == [
        (
            "ratings.csv",
            7,
            column,
            reason,
            line[:80] if not column else line.split(",")[HEADER.split(",").index(column)],
        )
    ]
    assert read.counts == {"lines": 301, "accepted": 300, "rejected": 1, "exact_repeats": 0, "replaced": 0}


def test_an_id_beyond_int32_is_an_id(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    read = read_ratings(write_csv([*valid_lines, "1,4294967297,4.0,1000000000"]))
    assert read.table["item_id"].max() == 4_294_967_297


def test_line_numbers_stay_right_after_a_quoted_line_end(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    lines = [HEADER + ",mood", *(f'{line},"gl\nad"' for line in valid_lines), "1,21,3.7,1000000000,sad"]
    read = read_ratings(write_csv("\n".join(lines) + "\n"))
    assert read.rejected.rows() == [("ratings.csv", 602, "rating", "off the half-star grid", "3.7")]
    assert read.notes == ["ratings.csv has further columns, which are ignored: mood"]


def test_a_truncated_last_line_is_set_aside_and_noted(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    read = read_ratings(write_csv("\n".join([HEADER, *valid_lines, "1,21,4.0,12607"])))
    assert read.rejected.rows() == [("ratings.csv", 302, "timestamp", "truncated last line", "12607")]
    assert read.notes == ["ratings.csv's last line has no line end: the file may be cut short"]
    assert is_accounted(read)


def test_a_whole_last_line_without_line_end_is_kept_and_noted(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    read = read_ratings(write_csv("\n".join([HEADER, *valid_lines])))
    assert (read.counts["accepted"], read.rejected.height, len(read.notes)) == (300, 0, 1)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda text: b"\xef\xbb\xbf" + text, "starts with a byte-order mark"),
        (lambda text: text.replace(b"\n", b"\r\n", 50), "ends lines with CRLF"),
        (gzip.compress, "is packed with gzip"),
        (lambda text: text.replace(b",", b";"), "is delimited by ';'"),
        (lambda text: text.replace(b",", b"\t"), "is delimited by '\\t'"),
    ],
)
def test_what_is_odd_but_clear_is_accepted_and_noted(
    write_csv: WriteCsv, valid_lines: list[str], change: Callable[[bytes], bytes], note: str
) -> None:
    plain = read_ratings(write_csv(valid_lines))
    odd = read_ratings(write_csv(change("\n".join([HEADER, *valid_lines, ""]).encode())))
    assert odd.table.equals(plain.table)
    assert odd.notes == [f"ratings.csv {note}"]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_header_may_be_quoted_and_so_may_every_field(
    write_csv: WriteCsv, valid_lines: list[str], delimiter: str
) -> None:
    """As R and Spark write it; R also numbers the rows, under a header without a name."""
    plain = read_ratings(write_csv(valid_lines)).table
    lines = [line.split(",") for line in [HEADER, *valid_lines]]
    quoted = [delimiter.join(f'"{field}"' for field in line) for line in lines]
    assert read_ratings(write_csv("\n".join([*quoted, ""]))).table.equals(plain)
    numbered = ['"' + delimiter.join(["", *lines[0]]).replace(delimiter, f'"{delimiter}"') + '"']
    numbered += [delimiter.join([f'"{number}"', *line]) for number, line in enumerate(lines[1:])]
    read = read_ratings(write_csv("\n".join([*numbered, ""])))
    assert read.table.equals(plain)
    again = read_ratings(write_csv("\n".join([*quoted, quoted[0], ""])))
    assert again.rejected["reason"].to_list() == ["header again"]


def test_times_may_be_written_out_if_all_of_them_are(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    plain = read_ratings(write_csv(valid_lines))
    seconds = [int(line.rpartition(",")[2]) for line in valid_lines]
    written = [
        f"{line.rpartition(',')[0]},{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"
        for line, second in zip(valid_lines, seconds, strict=True)
    ]
    odd = ["1,21,4.0,1000000000", "1,21,4.0,2001-02-30 00:00:00", "1,21,4.0,1994-01-01"]
    read = read_ratings(write_csv([*written, *odd]))
    assert read.table.equals(plain.table)
    assert read.notes == ["ratings.csv has dates and times, which are UTC where they name no zone"]
    assert read.rejected["reason"].to_list() == [
        "not a date and time like 1997-09-22 22:02:38",
        "not in the calendar",
        "before MovieLens' first rating",
    ]


def test_columns_in_another_order_are_mapped_by_name(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    turned = [",".join(reversed(line.split(","))) for line in [HEADER, *valid_lines]]
    assert read_ratings(write_csv("\n".join(turned) + "\n")).table.equals(read_ratings(write_csv(valid_lines)).table)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        (b"", "ratings.csv is empty"),
        (f"{HEADER}\n".encode(), "ratings.csv holds no valid row"),
        (HEADER.encode(), "ratings.csv holds no valid row"),
        (b"1,31,2.5,1260759144\n", "line 1: expected the header userId,movieId,rating,timestamp, found '1,31"),
        (b"userId::movieId::rating::timestamp\n1::2::3.5::1000000000\n", "line 1: expected the header"),
        (f"{HEADER}\n1,2,3.5,1000000000\n".encode("utf-16"), "is UTF-16"),
        (f"{HEADER}\r1,2,3.5,1000000000\r".encode(), "ends its lines with CR alone"),
        (f"{HEADER}\n1,2,3.5,10000\0".encode(), "NUL byte at offset 45"),
        (gzip.compress(f"{HEADER}\n1,2,3.5,1000000000\n".encode(), mtime=0)[:-4], "damaged or cut short"),
        (f"{HEADER}\n1,2,\xe9,1000000000\n".encode("latin-1"), "line 2: the byte 0xe9 is not utf-8"),
    ],
)
def test_a_file_that_is_not_what_it_claims_to_be_is_refused(write_csv: WriteCsv, ratings: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_ratings(write_csv(ratings))


def test_too_many_bad_lines_refuse_the_file(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    bad = ["1,21,3.7,1000000000"] * 4
    path = write_csv([*valid_lines, *bad])
    with pytest.raises(DataError, match=r"4 of 304 lines \(1\.3%\) are bad.*the first is line 302, column rating"):
        read_ratings(path)
    assert read_ratings(path, ReadingConfig(max_bad_share=0.02)).counts["rejected"] == 4


def test_repeated_ratings_are_counted_by_kind(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    again = ["1,1,5.0,1400000000", "1,1,2.0,1300000000", valid_lines[7]]
    read = read_ratings(write_csv([*valid_lines, *again]))
    assert read.counts == {"lines": 303, "accepted": 300, "rejected": 0, "exact_repeats": 1, "replaced": 2}
    assert read.table.filter(user_id=1, item_id=1)["rating"].to_list() == [5.0]


def test_ratings_of_unknown_movies_are_kept_and_counted(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    strangers = ["1,77,4.0,1000000000", "2,77,4.0,1000000000", "1,50,4.0,1000000000"]
    path = write_csv([*valid_lines, *strangers])
    dataset = read_dataset(path)
    assert dataset.counts["ratings.of_unknown_movies"] == 3
    assert dataset.ratings.height == 303
    assert unknown_movies(dataset.ratings, dataset.movies).rows() == [(50, 1), (77, 2)]
    with pytest.raises(DataError, match=r"3 of 303 ratings are of movies .* \(the first is 50\), above the 0\.5%"):
        check_unknown_movies(dataset.ratings, dataset.movies, ReadingConfig(max_unknown_share=0.005))


def test_a_movie_without_title_year_or_genres_is_kept_and_counted(write_csv: WriteCsv) -> None:
    movies = 'movieId,title,genres\n2,,Drama\n1,"Heat, The (1995)",(no genres listed)\n2,,Drama\n'
    read = read_movies(write_csv(movies=movies))
    assert read.table.rows() == [(1, "Heat, The", [], 1995), (2, "", ["Drama"], None)]
    assert read.counts == {
        "lines": 3,
        "accepted": 2,
        "rejected": 0,
        "exact_repeats": 1,
        "years_set_aside": 0,
        "without_title": 1,
        "without_year": 1,
        "without_genres": 1,
    }


def test_reading_leaves_the_archive_closed(embedded: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.zip"
    path.write_bytes(embedded.read_bytes())
    read_ratings(path)
    path.unlink()  # on Windows an open file cannot be deleted; elsewhere a ResourceWarning fails this test


mutations = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "replace", "repeat", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b'"', b",", b"\n", b"\r", b"\r\n", b"\0", b"-"])),
    ),
    min_size=1,
    max_size=4,
)


def mutate(data: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for kind, place, piece in changes:
        at = int(place * len(data))
        end = min(len(data), at + len(piece))
        data = {
            "insert": data[:at] + piece + data[at:],
            "delete": data[:at] + data[end:],
            "replace": data[:at] + piece + data[end:],
            "repeat": data[:at] + data[max(0, at - 40) : at] + data[at:],
            "cut": data[: max(at, len(data) // 2)],
        }[kind]
    return data


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(mutations, st.sampled_from(["ratings", "movies"]))
def test_any_mutation_is_refused_or_accounted_for(
    write_csv: WriteCsv, changes: list[tuple[str, float, bytes]], table: str
) -> None:
    ratings = "".join(f"{line}\n" for line in [HEADER, *(f"1,{item},3.5,1000000000" for item in range(1, 21))])
    movies = "movieId,title,genres\n" + "".join(f'{n},"Movie, ""{n}"" (1999)",Drama|Comedy\n' for n in range(1, 21))
    texts = {"ratings": ratings.encode(), "movies": movies.encode()}
    texts[table] = mutate(texts[table], changes)
    path = write_csv(texts["ratings"], texts["movies"])
    try:
        reads = [read_ratings(path, LENIENT), read_movies(path, LENIENT)]
    except DataError:
        return
    assert all(is_accounted(read) for read in reads)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(mutations)
def test_any_mutation_of_an_archive_is_refused_or_accounted_for(
    zip_of: Callable[..., Path], changes: list[tuple[str, float, bytes]]
) -> None:
    ratings = "".join(f"{line}\n" for line in [HEADER, *(f"{user},1,3.5,1000000000" for user in range(50))])
    path = zip_of({"ml/ratings.csv": ratings.encode(), "ml/movies.csv": b"movieId,title,genres\n1,Heat (1995),Drama\n"})
    path.write_bytes(mutate(path.read_bytes(), changes))
    try:
        dataset = read_dataset(path, LENIENT)
    except DataError:
        return
    assert dataset.counts["ratings.accepted"] + dataset.counts["ratings.rejected"] <= dataset.counts["ratings.lines"]


def test_a_year_that_the_ratings_contradict_is_set_aside_and_the_movie_stays(write_csv: WriteCsv) -> None:
    """The ratings are of 2001: a movie of 2002 was seen at a preview, one of 2021 cannot have been rated."""
    movies = 'movieId,title,genres\n1,Heat (2021),Crime\n2,"Heat, Red (2002)",Drama\n21,Not rated yet (2021),Drama\n'
    movies += "".join(f"{item},Movie {item} (1999),Drama\n" for item in range(3, 21))
    dataset = read_dataset(write_csv(movies=movies), CONFIG)
    years = dict(dataset.movies.select("item_id", "year").iter_rows())
    assert (years[1], years[2], years[21]) == (None, 2002, 2021)
    assert dataset.rejected.rows() == [
        (
            "movies.csv",
            2,
            "title",
            "rated in 2001, before the year of release; only the year of movie 1 is set aside",
            "Heat (2021)",
        )
    ]
    assert dataset.counts["movies.years_set_aside"] == dataset.counts["movies.without_year"] == 1
    assert dataset.counts["movies.rejected"] == 0, "the line itself is accepted"


def test_bad_lines_of_the_ratings_are_not_held_against_the_movies(write_csv: WriteCsv, valid_lines: list[str]) -> None:
    path = write_csv([*valid_lines, *["1,21,five,1000000000"] * 100])
    assert read_dated_movies(path, CONFIG).table.height == 20
