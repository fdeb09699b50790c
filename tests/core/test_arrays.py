"""Arrays on disk."""

from pathlib import Path

import numpy as np
import pytest

from recsys_core.arrays import read_array, write_array
from recsys_core.errors import ArtifactError


def test_an_array_comes_back_as_it_was(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_array(array, tmp_path / "a.npy")
    back = read_array(tmp_path / "a.npy", np.float32, ndim=2)
    assert back.dtype == np.float32
    assert np.array_equal(back, array)


def test_another_type_or_shape_is_refused(tmp_path: Path) -> None:
    write_array(np.arange(6), tmp_path / "a.npy")
    with pytest.raises(ArtifactError, match="holds int64 with 1 axes, expected float32 with 1"):
        read_array(tmp_path / "a.npy", np.float32, ndim=1)
    with pytest.raises(ArtifactError, match="expected int64 with 2"):
        read_array(tmp_path / "a.npy", np.int64, ndim=2)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"code": "here"}], dtype=object), allow_pickle=True)
    with pytest.raises(ArtifactError, match="damaged"):
        read_array(tmp_path / "a.npy", np.int64, ndim=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a flipped letter may name a type that numpy deprecates
@pytest.mark.parametrize("bit", [1, 64])
def test_every_flip_in_the_header_is_damage_or_harmless(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "a.npy"
    write_array(np.arange(50), path)
    good = path.read_bytes()
    refused = 0
    for at in range(128):
        path.write_bytes(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :])
        try:
            assert read_array(path, np.int64, ndim=1).dtype == np.int64
        except ArtifactError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize("n_bytes", [0, 5, 100, 300])
def test_a_cut_file_is_damage(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "a.npy"
    write_array(np.arange(50), path)
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ArtifactError, match="recsys refresh"):
        read_array(path, np.int64, ndim=1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nothing\.npy is missing"):
        read_array(tmp_path / "nothing.npy", np.int64, ndim=1)
