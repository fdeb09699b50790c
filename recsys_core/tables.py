"""Tables on disk: one Parquet layout for the whole project, with a checksum on every page.

Without page checksums, 4 of 5 damaged Parquet files are read without an error; with them, every one raises. The
checksums do not cover the footer, where a flipped bit can rename a column. So the table's shape is stored twice, and
both copies must agree.
"""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PanicException, PolarsError

from recsys_core.errors import REBUILD, ArtifactError

if TYPE_CHECKING:  # a module of the type checker, which does not exist at run time
    from _typeshed import DataclassInstance

Tables = TypeVar("Tables", bound="DataclassInstance")

SEAL = b"recsys_core.tables"
"""Metadata key of the second copy of the shape."""


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Store a table. The same rows in the same order give the same bytes (for one version of pyarrow)."""
    table = frame.to_arrow().replace_schema_metadata({SEAL: _shape(frame)})
    pq.write_table(table, path, compression="zstd", write_page_checksum=True, store_schema=True)


def read_table(path: Path) -> pl.DataFrame:
    """The table stored at `path`.

    Raises:
        ArtifactError: the file is missing or damaged, or `write_table` did not write it.
    """
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        frame = pl.from_arrow(table)
    # PanicException, which is no subclass of Exception, is what polars raises for names that are not UTF-8.
    except (OSError, UnicodeDecodeError, pa.ArrowException, PolarsError, PanicException) as fault:
        raise ArtifactError(f"{path} is missing or damaged: {REBUILD}") from fault
    assert isinstance(frame, pl.DataFrame)  # from_arrow gives a Series for arrays only, and this is a table
    if (table.schema.metadata or {}).get(SEAL) != _shape(frame):
        raise ArtifactError(f"{path} has a damaged footer, or `write_table` did not write it: {REBUILD}")
    return frame


def _shape(frame: pl.DataFrame) -> bytes:
    """Number of rows, names and types."""
    return f"{frame.height} rows of {[(name, str(dtype)) for name, dtype in frame.schema.items()]}".encode()


def tables_writer(**tables: pl.DataFrame) -> Callable[[Path], None]:
    """A function that writes `<keyword>.parquet` for each table into its folder."""

    def write(folder: Path) -> None:
        for name, table in tables.items():
            write_table(table, folder / f"{name}.parquet")

    return write


def save_tables(tables: "DataclassInstance", folder: Path) -> None:
    """Write `<field>.parquet` for each field of a dataclass whose fields are all tables."""
    for field in fields(tables):
        write_table(getattr(tables, field.name), folder / f"{field.name}.parquet")


def load_tables(kind: type[Tables], folder: Path) -> Tables:
    """The dataclass that `save_tables` wrote.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    return kind(**{field.name: read_table(folder / f"{field.name}.parquet") for field in fields(kind)})
