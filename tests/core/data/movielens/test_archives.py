"""A zip that GroupLens cannot have made is refused before any of its members is opened."""

import copy
import gzip
import random
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.data.movielens import archives as module
from recsys_core.data.movielens.archives import opened
from recsys_core.data.movielens.reading import read_dataset, read_ratings
from recsys_core.errors import DataError

ZipOf = Callable[..., Path]
GOOD = {"ml/ratings.csv": b"userId,movieId,rating,timestamp\n1,2,3.5,1000000000\n", "ml/movies.csv": b""}


def open_all(path: Path) -> None:
    with opened(path):
        pass


def test_members_are_found_at_the_top_or_one_folder_down(zip_of: ZipOf) -> None:
    path = zip_of({"a.csv": b"1", "ml/b.csv": b"2", "ml/deep/c.csv": b"3", "__MACOSX/._b.csv": b"4", "ml/": b""})
    with opened(path) as files:
        assert files.names() == {"a.csv", "b.csv"}
        with files.open("b.csv") as stream:
            assert stream.read() == b"2"


def test_a_folder_offers_its_files_and_not_its_folders(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_bytes(b"1")
    (tmp_path / "movies.csv").mkdir()
    with opened(tmp_path) as files:
        assert files.names() == {"ratings.csv"}


@pytest.mark.parametrize(
    "name", ["../ratings.csv", "ml/../../x", "/etc/x", "C:/x", "..\\x", "ml/a\\b", "\\\\host\\x", "ratings.csv\0.txt"]
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.zip"
    placeholder = "n" * len(name)  # zipfile would mend some of these names, so they are put in afterwards
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr(placeholder, b"x")
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), name.encode()))
    with pytest.raises(DataError, match=r"evil\.zip holds the unsafe name .*: it is not a GroupLens archive"):
        open_all(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("ml/ratings.csv")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match=r"holds the symbolic link 'ml/ratings\.csv'"):
        open_all(path)


def test_a_bomb_is_refused(zip_of: ZipOf) -> None:
    path = zip_of({**GOOD, "ml/zeros": bytes(20_000_000)})  # about 1028:1
    with pytest.raises(DataError, match="holds 'ml/zeros', packed more than 100:1, as a zip bomb is"):
        open_all(path)


@pytest.mark.parametrize("table", ["ratings.csv", "movies.csv"])
def test_a_bomb_within_a_gzip_within_the_zip_is_refused(zip_of: ZipOf, table: str) -> None:
    """Each layer alone is modest."""
    text = GOOD["ml/ratings.csv"] + random.Random(0).randbytes(800).hex().encode() + b"\n" * 60_000
    packed = gzip.compress(text, compresslevel=1, mtime=0) * 50
    path = zip_of({**GOOD, "ml/movies.csv": b"movieId,title,genres\n2,A,Drama\n", f"ml/{table}": packed})
    assert len(text) * 50 < module.MAX_RATIO * len(packed)
    with opened(path):
        pass  # the zip by itself is in order
    with pytest.raises(DataError, match=rf"{table} is packed more than 100:1, as a zip bomb is"):
        read_dataset(path)


def test_a_bomb_within_a_gzip_in_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_bytes(b"movieId,title,genres\n2,A,Drama\n")
    (tmp_path / "ratings.csv").write_bytes(gzip.compress(bytes(GOOD["ml/ratings.csv"]) + b"\n" * 20_000_000))
    with pytest.raises(DataError, match=r"ratings\.csv is packed more than 100:1, as a zip bomb is"):
        read_dataset(tmp_path)


def test_members_that_share_their_packed_bytes_count_against_the_whole_archive(tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    content = random.Random(0).randbytes(30_000) + bytes(1_500_000)  # 48:1, no bomb on its own
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("ml/0", content)
        for number in range(1, 50):
            twin = copy.copy(zipped.filelist[0])
            twin.filename = f"ml/{number}"
            zipped.filelist.append(twin)
    with pytest.raises(DataError, match="unpacks to 76,500,000 bytes, as a zip bomb does"):
        open_all(path)


def test_members_and_their_sizes_are_capped(zip_of: ZipOf, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zip_of(GOOD)
    monkeypatch.setattr(module, "MAX_TOTAL_BYTES", 50)
    with pytest.raises(DataError, match="unpacks to 51 bytes"):
        open_all(path)
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 40)
    with pytest.raises(DataError, match=r"holds 'ml/ratings\.csv' of 51 bytes, above 40"):
        open_all(path)
    monkeypatch.setattr(module, "MAX_MEMBERS", 1)
    with pytest.raises(DataError, match="has 2 members, above the 1 allowed"):
        open_all(path)


def test_a_member_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as zipped, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns, and writes it
        zipped.writestr("ml/ratings.csv", b"1")
        zipped.writestr("ml/ratings.csv", b"2")
    with pytest.raises(DataError, match=r"holds the member 'ml/ratings\.csv' twice"):
        open_all(path)


def test_one_name_in_two_folders_is_refused_when_it_is_needed(zip_of: ZipOf) -> None:
    path = zip_of({**GOOD, "other/ratings.csv": b""})
    with pytest.raises(DataError, match=r"holds ml/ratings\.csv and other/ratings\.csv, and which one is meant"):
        read_ratings(path)


def test_an_encrypted_member_is_refused(zip_of: ZipOf) -> None:
    path = zip_of({"ml/ratings.csv": b"x"})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2") + 8
    data[at : at + 2] = struct.pack("<H", 1)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"holds the encrypted member 'ml/ratings\.csv'"):
        open_all(path)


def test_damaged_bytes_inside_a_member_are_reported(zip_of: ZipOf) -> None:
    lines = "".join(f"{user},{user * 7919 % 1000},3.5,{1_000_000_000 + user}\n" for user in range(5000))
    path = zip_of({"ml/ratings.csv": f"userId,movieId,rating,timestamp\n{lines}".encode(), "ml/movies.csv": b""})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged or cut short"):
        read_ratings(path)


@pytest.mark.parametrize("data", [b"", b"PAR1\0\0PAR1", b"<html>404</html>", b"PK\3\4 and no more"])
def test_what_is_no_zip_is_refused_with_the_remedy(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "ml-25m.zip"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"ml-25m\.zip is not a whole zip archive .*: delete it and fetch it again"):
        open_all(path)


def test_a_truncated_zip_is_refused(zip_of: ZipOf) -> None:
    path = zip_of(GOOD)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="is not a whole zip archive"):
        open_all(path)


def test_a_path_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist: give the path of a MovieLens zip"):
        open_all(tmp_path / "nothing")
