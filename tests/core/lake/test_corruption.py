"""Every bit counts: whatever changes in a stored file, the lake says so before anybody parses it."""

import json
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recsys_core.errors import ArtifactError
from recsys_core.lake import Lake, Lineage

FILES = ("CURRENT", "manifest.json", "table.parquet", "vectors.npy", "tower.safetensors", "ranker.json", "empty.bin")


def all_kinds(folder: Path) -> None:
    """One file of each kind that the project stores; the lake sees bytes, so stand-ins for the formats will do."""
    chance = random.Random(1)
    (folder / "table.parquet").write_bytes(b"PAR1" + chance.randbytes(2000) + b"PAR1")
    (folder / "vectors.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<200f", *map(float, range(200))))
    (folder / "tower.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}" + bytes(1000))
    (folder / "ranker.json").write_text(json.dumps({"trees": list(range(200))}))
    (folder / "empty.bin").write_bytes(b"")


@pytest.fixture
def filled(lake: Lake) -> Lake:
    lake.publish("a", all_kinds, Lineage(code_version="c1", facts={"fit_end": 880000000, "share": 0.25}))
    return lake


def path_of(lake: Lake, name: str) -> Path:
    shelf = lake.root / "artifacts" / "a"
    return shelf / name if name == "CURRENT" else next(shelf.glob("*/manifest.json")).parent / name


@contextmanager
def changed(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """The file with other bytes for a while, and then as before."""
    before = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(change(before))
    yield
    path.write_bytes(before)


def assert_noticed(lake: Lake, name: str) -> None:
    with pytest.raises(ArtifactError, match="recsys refresh"):
        lake.open("a")
    if name in ("CURRENT", "manifest.json"):  # these the cheap check covers entirely
        with pytest.raises(ArtifactError):
            lake.current("a")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FILES if name != "empty.bin"])
def test_a_flipped_bit_is_noticed(name: str, filled: Lake) -> None:
    path, chance = path_of(filled, name), random.Random(name)
    for _ in range(150):
        place, bit = chance.randrange(path.stat().st_size), chance.randrange(8)

        def flip(content: bytes, place: int = place, bit: int = bit) -> bytes:
            return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]

        with changed(path, flip):
            assert_noticed(filled, name)
    filled.verify("a")


@pytest.mark.parametrize("name", [name for name in FILES if name != "empty.bin"])
def test_a_truncated_file_is_noticed(name: str, filled: Lake) -> None:
    path, chance = path_of(filled, name), random.Random(name)
    size = path.stat().st_size
    for length in [0, 1, size - 1, *(chance.randrange(size) for _ in range(30))]:
        with changed(path, lambda content, length=length: content[:length]):
            assert_noticed(filled, name)
            with pytest.raises(ArtifactError):  # sizes are checked without hashing
                filled.current("a")


@pytest.mark.parametrize("name", FILES)
def test_a_longer_file_is_noticed(name: str, filled: Lake) -> None:
    for tail in (b"\0", b"\n", b" ", b"x" * 5000):
        with changed(path_of(filled, name), lambda content, tail=tail: content + tail):
            assert_noticed(filled, name)


@pytest.mark.parametrize("name", [name for name in FILES if name != "CURRENT"])
def test_a_missing_file_is_noticed_and_named(name: str, filled: Lake) -> None:
    path_of(filled, name).unlink()
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        filled.current("a")


def test_zeroed_blocks_are_noticed(filled: Lake) -> None:
    for name in FILES[:-1]:
        if any(path_of(filled, name).read_bytes()):
            with changed(path_of(filled, name), lambda content: bytes(len(content))):
                assert_noticed(filled, name)


def test_an_older_manifest_put_back_is_noticed(filled: Lake) -> None:
    """It is a whole seal, only of other files."""
    old = path_of(filled, "manifest.json")
    other = filled.publish("a", lambda folder: (folder / "x").write_text("x") and None, Lineage(code_version="c2"))
    (old.parent.parent / other.version / "manifest.json").write_bytes(old.read_bytes())
    with pytest.raises(ArtifactError, match="damaged"):
        filled.current("a")
