"""Known data sets are found by name and checked by digest; any other by its path."""

import hashlib
from pathlib import Path

import pytest

from recsys_core.data.movielens.sources import (
    EMBEDDED,
    SOURCES,
    Source,
    file_digest,
    locate,
    record_path,
    source_bytes,
    source_version,
    verify,
)
from recsys_core.errors import DataError


def test_the_embedded_data_set_is_found_and_is_what_it_was(embedded: Path) -> None:
    assert locate(EMBEDDED, embedded.parent) == embedded
    assert source_version(embedded) == SOURCES[EMBEDDED].sha256


def test_every_download_is_over_https_and_has_a_digest_but_the_one_that_changes() -> None:
    downloads = [source for source in SOURCES.values() if source.url]
    assert all(source.url.startswith("https://files.grouplens.org/") for source in downloads)
    assert {source.name for source in downloads if not source.md5} == {"ml-latest-small"}
    assert all(len(source.md5) in {0, 32} for source in downloads)


def test_a_path_is_taken_as_it_is_and_a_wrong_one_refused(tmp_path: Path) -> None:
    assert locate(str(tmp_path), tmp_path / "raw") == tmp_path
    with pytest.raises(DataError, match=r"is neither a known data set .* nor the path of a zip or folder"):
        locate(str(tmp_path / "nothing"), tmp_path)


def test_a_known_data_set_that_was_not_fetched_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        locate("ml-25m", tmp_path)
    assert str(caught.value) == (
        f"ml-25m is not in {tmp_path}: let `recsys data fetch ml-25m` fetch it, or download "
        f"https://files.grouplens.org/datasets/movielens/ml-25m.zip yourself and put it at {tmp_path / 'ml-25m.zip'}"
    )


@pytest.mark.parametrize("name", [EMBEDDED, "ml-25m"])
def test_other_bytes_under_a_known_name_are_refused_before_they_are_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.zip").write_bytes(b"evil")
    with pytest.raises(
        DataError, match=r"is not the expected file: its (md5|sha256) is .*, not the published .*; delete"
    ):
        locate(name, tmp_path)


def test_a_copy_that_differs_from_the_first_is_refused(tmp_path: Path) -> None:
    path, source = tmp_path / "x.zip", Source(name="x", url="https://example.org/x.zip")
    path.write_bytes(b"first")
    verify(path, source)  # nothing is known of it yet
    record_path(path).write_text(f"{file_digest(path, 'sha256')}  x.zip\n")
    verify(path, source)
    path.write_bytes(b"second")
    with pytest.raises(DataError, match=r"as of the first copy \(delete x\.zip\.sha256 if the data set was renewed"):
        verify(path, source)


def test_a_record_that_is_no_digest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"first")
    record_path(path).write_bytes(b"\xff no digest")
    with pytest.raises(DataError, match=r"x\.zip\.sha256 holds no SHA-256"):
        verify(path, Source(name="x", url="https://example.org/x.zip"))


def test_the_version_of_a_zip_is_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"abc" * 1_000_000)
    assert source_version(path) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


def test_the_version_of_a_folder_changes_with_any_name_or_byte(tmp_path: Path) -> None:
    versions: set[str] = set()
    for names in ({"a": b"1", "b": b"2"}, {"a": b"2", "b": b"1"}, {"a": b"1"}, {"c": b"1", "b": b"2"}, {"ab": b"12"}):
        folder = tmp_path / str(len(versions))
        folder.mkdir()
        for name, content in names.items():
            (folder / name).write_bytes(content)
        assert source_version(folder) == source_version(folder)
        versions.add(source_version(folder))
    assert len(versions) == 5


def test_nothing_has_no_version(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        source_version(tmp_path / "nothing")


def test_the_size_is_that_of_the_zip_or_of_the_files_directly_in_the_folder(embedded: Path, tmp_path: Path) -> None:
    assert source_bytes(embedded) == len(embedded.read_bytes())
    (tmp_path / "one").write_bytes(b"12345")
    (tmp_path / "two").write_bytes(b"123")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "three").write_bytes(b"1")
    assert source_bytes(tmp_path) == 8


def test_a_home_in_a_path_is_found_as_a_shell_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ml").mkdir()
    assert locate("~/ml", tmp_path / "raw") == tmp_path / "ml"
    with pytest.raises(DataError, match="write the path in full"):
        locate("~nobody-of-that-name/ml", tmp_path)
