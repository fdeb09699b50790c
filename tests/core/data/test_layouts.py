"""A data set's layout is known by the names of its files, and each layout is read as GroupLens wrote it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.data.archives import opened
from recsys_core.data.layouts import LAYOUTS, layout_of
from recsys_core.data.limits import ReadingConfig
from recsys_core.data.reading import read_dataset
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
        (["u.data", "u.item", "u.user", "u.genre"], "100k"),
        (["ratings.dat", "movies.dat", "users.dat"], "1m"),
        (["ratings.dat", "movies.dat", "tags.dat"], "10m"),
    ],
)
def test_the_files_names_tell_the_layout(tmp_path: Path, names: list[str], layout: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with opened(tmp_path) as files:
        assert layout_of(files).name == layout


@pytest.mark.parametrize("names", [[], ["ratings.csv"], ["ratings.parquet", "movies.parquet"], ["u.data", "u.item"]])
def test_unknown_names_are_refused_with_those_expected_and_found(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    found = ", ".join(sorted(names)) or "no file at its top"
    with opened(tmp_path) as files, pytest.raises(DataError, match=f"no known layout: .*; found {found}$"):
        layout_of(files)


def test_1m_is_read_in_latin_1_with_its_users(zip_of: ZipOf) -> None:
    dataset = read_dataset(zip_of(ML_1M))
    assert dataset.ratings.rows() == [(1, 1193, 5.0, 978300760), (1, 661, 3.0, 978302109)]
    assert dataset.movies.rows() == [
        (661, "James and the Giant Peach", ["Children's"], 1996),
        (1193, "Mis\u00e9rables", ["Drama"], 1975),
    ]
    assert dataset.users is not None
    assert dataset.users.rows() == [(1, 1, "F", "K-12 student")]


def test_10m_is_read_in_utf_8_without_users(zip_of: ZipOf) -> None:
    dataset = read_dataset(zip_of(ML_10M))
    assert dataset.ratings.rows() == [(1, 122, 4.5, 838985046)]
    assert dataset.movies.rows() == [(122, "Caf\u00e9: A Film", ["Comedy", "Romance"], 1992)]
    assert dataset.users is None


def test_the_encoding_setting_wins_over_the_layouts(zip_of: ZipOf) -> None:
    renamed = {name.replace("ml-1m", "x"): content for name, content in ML_1M.items() if "users" not in name}
    with pytest.raises(DataError, match=r"movies\.dat, line 2: the byte 0xe9 is not utf-8"):
        read_dataset(zip_of(renamed))
    assert read_dataset(zip_of(renamed), ReadingConfig(encoding="latin-1")).movies["title"][1] == "Mis\u00e9rables"


def test_every_layout_names_the_columns_that_the_readers_need() -> None:
    for layout in LAYOUTS:
        assert {"userId", "movieId", "rating", "timestamp"} == set(layout.ratings.columns)
        assert {"movieId", "title"} <= set(layout.movies.columns)
