"""Tables on disk: what is read is what was written, or an error."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.errors import ArtifactError
from recsys_core.tables import load_tables, read_table, save_tables, tables_writer, write_table
from tests import tiny_world


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two tables that belong together."""

    one: pl.DataFrame
    two: pl.DataFrame


@pytest.fixture
def table() -> pl.DataFrame:
    columns = {
        "user_id": [1, 2, None],
        "title": ["Amélie", "", None],
        "genres": [["Comedy", "Romance"], [], None],
        "year": [2001, -1, None],
        "share": [0.1, float("nan"), None],
    }
    return pl.DataFrame(columns, schema_overrides={"year": pl.Int32, "share": pl.Float32})


def test_types_nulls_nans_and_lists_survive(table: pl.DataFrame, tmp_path: Path) -> None:
    write_table(table, tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet")
    assert found.schema == table.schema
    assert found.equals(table)
    assert found["share"].is_nan().sum() == 1
    assert found["share"].null_count() == 1


@pytest.mark.parametrize("n_rows", [0, 1])
def test_an_empty_table_keeps_its_columns(table: pl.DataFrame, tmp_path: Path, n_rows: int) -> None:
    write_table(table.head(n_rows), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").equals(table.head(n_rows))


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    """The version of an artifact is the hash of its bytes."""
    for name in ("one", "other"):
        write_table(tiny_world.ratings(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.slow
def test_no_flipped_bit_goes_unnoticed(table: pl.DataFrame, tmp_path: Path) -> None:
    """Every third byte in turn: either an error, or a byte without meaning; the footer has no checksum."""
    path = tmp_path / "t.parquet"
    write_table(table, path)
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 3):
        broken = bytearray(whole)
        broken[at] ^= 1 << (at % 8)
        path.write_bytes(broken)
        try:
            found = read_table(path)
        except ArtifactError:
            refused += 1
        else:
            assert found.schema == table.schema
            assert found.equals(table)
    assert refused > len(whole) / 3 / 2


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_off_file_is_an_error_that_says_what_to_do(table: pl.DataFrame, tmp_path: Path, share: float) -> None:
    path = tmp_path / "t.parquet"
    write_table(table, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ArtifactError, match="recsys refresh"):
        read_table(path)


def test_a_missing_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none\.parquet is missing or damaged: run `recsys refresh`"):
        read_table(tmp_path / "none.parquet")


def test_a_table_that_somebody_else_wrote_is_refused(table: pl.DataFrame, tmp_path: Path) -> None:
    """It may lack the page checksums, so that nothing could be said about its bytes."""
    table.write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ArtifactError, match="did not write it"):
        read_table(tmp_path / "t.parquet")


def test_a_folder_named_like_a_partition_adds_no_column(table: pl.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "day=2026-01-01"
    folder.mkdir()
    write_table(table, folder / "t.parquet")
    assert read_table(folder / "t.parquet").columns == table.columns


def test_several_tables_go_into_files_of_their_names(table: pl.DataFrame, tmp_path: Path) -> None:
    tables_writer(users=table, few=table.head(1))(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.parquet", "users.parquet"]
    assert read_table(tmp_path / "few.parquet").height == 1


def test_page_checksums_find_damage_that_plain_parquet_reads(tmp_path: Path) -> None:
    """Why not `write_parquet`: without checksums a flipped bit in the data is just another number."""
    numbers = pl.DataFrame({"n": np.random.default_rng(0).integers(0, 2**62, 500)})
    write_table(numbers, tmp_path / "ours")
    numbers.write_parquet(tmp_path / "plain", compression="uncompressed", use_pyarrow=False)
    for name in ("ours", "plain"):
        broken = bytearray((tmp_path / name).read_bytes())
        broken[len(broken) // 2] ^= 1
        (tmp_path / name).write_bytes(broken)
    assert not pl.read_parquet(tmp_path / "plain").equals(numbers)
    with pytest.raises(ArtifactError):
        read_table(tmp_path / "ours")


def test_a_dataclass_of_tables_reads_back(tmp_path: Path) -> None:
    pair = Pair(one=pl.DataFrame({"a": [1, 2]}), two=pl.DataFrame({"b": ["x"]}))
    save_tables(pair, tmp_path)
    back = load_tables(Pair, tmp_path)
    assert back.one.equals(pair.one)
    assert back.two.equals(pair.two)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.parquet", "two.parquet"]


def test_a_dataclass_with_a_table_gone_is_refused(tmp_path: Path) -> None:
    save_tables(Pair(one=pl.DataFrame({"a": [1]}), two=pl.DataFrame({"b": [1]})), tmp_path)
    (tmp_path / "two.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"two\.parquet"):
        load_tables(Pair, tmp_path)
