"""A data set's layout is known by the names of its files, and each layout is read as GroupLens wrote it."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.data.config import ReadingConfig
from recsys_core.data.movielens.archives import opened
from recsys_core.data.movielens.layouts import LAYOUTS, layout_of
from recsys_core.data.movielens.reading import read_dataset
from recsys_core.errors import DataError

ZipOf = Callable[..., Path]

ML_1M = {
    "ml-1m/ratings.dat": b"1::1193::5::978300760\n1::661::3::978302109\n",
    "ml-1m/movies.dat": b"661::James and the Giant Peach (1996)::Children's\n1193::Mis\xe9rables (1975)::Drama\n",
    "ml-1m/users.dat": b"1::F::1::10::48067\n",
    "ml-1m/README": b"",
}
ML_10M = {
    "ml-10M100K/ratings.dat": b"1::122::4.5::838985046\n",
    "ml-10M100K/movies.dat": "122::Caf\u00e9: A Film (1992)::Comedy|Romance\n".encode(),
    "ml-10M100K/tags.dat": b"",
}


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["ratings.csv", "movies.csv", "tags.csv"], "csv"),
        (["rating.csv", "movie.csv", "tag.csv"], "kaggle"),
        (["u.data", "u.item", "u.user", "u.genre"], "100k"),
        (["u.data", "u.item"], "100k"),
        (["ratings.dat", "movies.dat", "users.dat"], "1m"),
        (["ratings.dat", "movies.dat", "tags.dat"], "10m"),
    ],
)
def test_the_files_names_tell_the_layout(tmp_path: Path, names: list[str], layout: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with opened(tmp_path) as files:
        assert layout_of(files).name == layout


@pytest.mark.parametrize("names", [[], ["ratings.csv"], ["ratings.parquet", "movies.parquet"], ["u.data"]])
def test_unknown_names_are_refused_with_those_expected_and_found(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    found = ", ".join(sorted(names)) or "no file at its top"
    with opened(tmp_path) as files, pytest.raises(DataError, match=f"no known layout: .*; found {found}$"):
        layout_of(files)


def test_20m_as_on_kaggle_is_read_with_its_quotes_and_dates(zip_of: ZipOf) -> None:
    files = {
        "rating.csv": b'"userId","movieId","rating","timestamp"\n'
        b'1,2,3.5,"2005-04-02 23:53:47"\n1,29,4,2005-04-02T23:31:16Z\n',
        "movie.csv": b'"movieId","title","genres"\n2,"Jumanji (1995)","Adventure|Children"\n29,"City (1995)","Drama"\n',
    }
    dataset = read_dataset(zip_of(files))
    assert dataset.ratings.rows() == [(1, 29, 4.0, 1112484676), (1, 2, 3.5, 1112486027)]
    assert dataset.movies.rows() == [(2, "Jumanji", ["Adventure", "Children"], 1995), (29, "City", ["Drama"], 1995)]
    assert dataset.notes == ["rating.csv has dates and times, which are UTC where they name no zone"]


def test_100k_is_read_without_its_users(ml_100k: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(ml_100k) as zipped:
        for name in ("u.data", "u.item"):
            (tmp_path / name).write_bytes(zipped.read(f"ml-100k/{name}"))
    whole, bare = read_dataset(ml_100k), read_dataset(tmp_path)
    assert bare.ratings.equals(whole.ratings)
    assert bare.movies.equals(whole.movies)


def test_1m_is_told_by_its_users_and_read_in_latin_1(zip_of: ZipOf) -> None:
    dataset = read_dataset(zip_of(ML_1M))
    assert dataset.ratings.rows() == [(1, 1193, 5.0, 978300760), (1, 661, 3.0, 978302109)]
    assert dataset.movies.rows() == [
        (661, "James and the Giant Peach", ["Children's"], 1996),
        (1193, "Mis\u00e9rables", ["Drama"], 1975),
    ]


def test_10m_is_read_in_utf_8(zip_of: ZipOf) -> None:
    dataset = read_dataset(zip_of(ML_10M))
    assert dataset.ratings.rows() == [(1, 122, 4.5, 838985046)]
    assert dataset.movies.rows() == [(122, "Caf\u00e9: A Film", ["Comedy", "Romance"], 1992)]


def test_the_encoding_setting_wins_over_the_layouts(zip_of: ZipOf) -> None:
    renamed = {name.replace("ml-1m", "x"): content for name, content in ML_1M.items() if "users" not in name}
    with pytest.raises(DataError, match=r"movies\.dat, line 2: the byte 0xe9 is not utf-8"):
        read_dataset(zip_of(renamed))
    assert read_dataset(zip_of(renamed), ReadingConfig(encoding="latin-1")).movies["title"][1] == "Mis\u00e9rables"


def test_every_layout_names_the_columns_that_the_readers_need() -> None:
    for layout in LAYOUTS:
        assert {"userId", "movieId", "rating", "timestamp"} == set(layout.ratings.columns)
        assert {"movieId", "title"} <= set(layout.movies.columns)
