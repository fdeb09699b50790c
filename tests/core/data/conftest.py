"""Small data sets in GroupLens' layouts, written to disk, and the two real ones."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEADER = "userId,movieId,rating,timestamp"
MOVIES = "movieId,title,genres\n" + "".join(f"{item},Movie {item} (1999),Drama|Comedy\n" for item in range(1, 21))

WriteCsv = Callable[..., Path]


def rating_lines(n: int = 300) -> list[str]:
    """Valid rating lines: 20 movies, as many users as it takes, one rating a second."""
    return [f"{1 + row // 20},{1 + row % 20},{0.5 + row % 10 / 2:.1f},{1_000_000_000 + row}" for row in range(n)]


@pytest.fixture
def valid_lines() -> list[str]:
    """300 valid rating lines: one bad line more is below one percent."""
    return rating_lines()


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Writes ratings.csv and movies.csv, given as text, lines or bytes, into a folder."""

    def write(ratings: str | bytes | list[str] | None = None, movies: str | bytes = MOVIES) -> Path:
        folder = tmp_path / "ml-test"
        folder.mkdir(exist_ok=True)
        if not isinstance(ratings, str | bytes):
            ratings = "".join(f"{line}\n" for line in [HEADER, *(ratings or rating_lines())])
        for name, content in (("ratings.csv", ratings), ("movies.csv", movies)):
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write


@pytest.fixture
def zip_of(tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Packs members into a zip."""

    def pack(members: dict[str, bytes], name: str = "made.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for member, content in members.items():
                zipped.writestr(member, content)
        return path

    return pack


@pytest.fixture(scope="session")
def embedded() -> Path:
    """The data set that comes with the project."""
    return ROOT / "data_lake" / "raw" / "ml-latest-small-2016.zip"


@pytest.fixture(scope="session")
def ml_100k() -> Path:
    """MovieLens 100K, whose licence forbids to ship it."""
    path = Path(os.environ.get("RECSYS_ML100K", ROOT.parent / "shared" / "data" / "ml-100k.zip"))
    if not path.is_file():
        pytest.skip(f"no MovieLens 100K at {path}: set RECSYS_ML100K to the path of ml-100k.zip")
    return path
