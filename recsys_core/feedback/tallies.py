"""Tallies: the rows that a writer's file must hold at least, kept beside the file to detect lost rows.

A row has a digest, but the set of rows has none, so a file that has lost rows looks complete. A flipped bit in the
write-ahead log of a dead writer ends SQLite's recovery there; a deleted, emptied or older file reads as a smaller log.
So `writer-<n>.tally` holds, per table, the number of acknowledged rows and a sum over them, to which new rows are added
without reading the others again.

A tally is written after its commit and not synced. After a kill or a power cut it may lag behind the file, but it never
runs ahead of it. Rows beyond the tally are valid; rows missing from it are lost. A file without a tally is of an
earlier version, and is not checked.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recsys_core.errors import ArtifactError, LogError
from recsys_core.feedback.records import TABLES, Row
from recsys_core.lake.files import read_plain

TALLIED: dict[str, tuple[str, str]] = {
    **{table.name: (table.arrival, "digest") for table in TABLES.values()},
    "quarantine": ("set_aside_at", "line_id"),
    "replayed": ("replayed_at", "line_id"),
    "notes": ("noted_at", "digest"),
}
"""Per table: an integer column and a digest column, which together identify a row."""

SIZE = 1024
"""Bytes of a tally. The size is constant, so that one write replaces the whole content."""

_TRIES = 5
_MODULUS = 2**128


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The rows of a table up to a rowid. Rows are only ever added, so rowids ascend.

    Attributes:
        n: number of rows.
        last: rowid of the last row.
        total: sum over the rows of digest x (2 number + 1), modulo 2^128.
    """

    n: int = 0
    last: int = 0
    total: int = 0

    def plus(self, rows: Iterable[Row]) -> "Tally":
        """Add rows of (number, digest, rowid), in the order of rowids.

        Raises:
            LogError: a value is damaged, and has another type.
        """
        n, last, total = self.n, self.last, self.total
        try:
            for number, digest, last in rows:  # noqa: B007  # keeps the last rowid
                n += 1
                total += int.from_bytes(digest) * (2 * number + 1)
        except (TypeError, ValueError) as error:
            raise LogError("a digest or an arrival is not as it was written") from error
        return Tally(n=n, last=last, total=total % _MODULUS)


Tallies = Mapping[str, Tally]
"""By table; a table without one is not checked."""


def path_of(file: Path) -> Path:
    """The path of the tally of a writer's file."""
    return file.with_suffix(".tally")


def tallied_files(folder: Path) -> list[Path]:
    """The writers' files that have a tally, by name, whether or not the files still exist."""
    return sorted(path.with_suffix(".sqlite") for path in folder.glob("*.tally") if path.stat().st_size)


def written(tallies: Tallies) -> bytes:
    """The content of a tally file, SIZE bytes."""
    rows = {name: [one.n, one.last, f"{one.total:032x}"] for name, one in tallies.items()}
    text = json.dumps({"rows": rows, "sha256": _seal(rows)})
    return text.encode().ljust(SIZE)


def read(file: Path) -> Tallies:
    """The tallies of a writer's file; empty where there is no tally yet, or a power cut left it empty.

    Raises:
        LogError: the tally is damaged.
    """
    path = path_of(file)
    for _ in range(_TRIES):  # a writer may be writing it
        try:
            content = read_plain(path)
            if not content.strip(b" \0"):
                return {}
            held = json.loads(content)
            if held["sha256"] == _seal(held["rows"]):
                return {
                    name: Tally(n=n, last=last, total=int(total, 16)) for name, (n, last, total) in held["rows"].items()
                }
        except FileNotFoundError:
            return {}
        except (ArtifactError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        time.sleep(0.002)
    raise LogError(
        f"{path} is damaged, so that lost rows of {file.name} cannot be detected. Compare {file.name} with a copy; "
        "`recsys log accept-loss` continues with the rows that it holds"
    )


def grown(tallies: Tallies, connection: sqlite3.Connection) -> dict[str, Tally]:
    """The tallies, extended by the rows that were added since."""
    return {name: tallies.get(name, Tally()).plus(_rows(connection, name, tallies)) for name in _present(connection)}


def shortfalls(file: Path, connection: sqlite3.Connection | None, tallies: Tallies) -> Iterator[str]:
    """A sentence for each table that holds fewer rows than were acknowledged; compares numbers of rows alone.

    Args:
        file: the writer's file.
        connection: to the file; None where it does not exist or has no tables.
        tallies: of `read`, read before the snapshot of the connection began.
    """
    present = _present(connection) if connection else []
    for name, tally in tallies.items():
        last = n = 0
        if connection and name in present:
            (last,) = connection.execute(f"SELECT ifnull(max(rowid), 0) FROM {name}").fetchone()
        if last >= tally.last:
            continue
        if connection and last:
            (n,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
        yield lost(file, f"{name} holds {n:,} of {tally.n:,} acknowledged rows")


def alterations(file: Path, connection: sqlite3.Connection, tallies: Tallies) -> Iterator[str]:
    """A sentence for each table that holds enough rows, but not the acknowledged ones."""
    for name in set(_present(connection)) & tallies.keys():
        number, digest = TALLIED[name]
        query = f"SELECT {number}, {digest}, rowid FROM {name} WHERE rowid <= ? ORDER BY rowid"
        yield from differs(file, name, connection.execute(query, (tallies[name].last,)), tallies[name])


def differs(file: Path, name: str, rows: Iterable[Row], tally: Tally) -> Iterator[str]:
    """A sentence where the rows up to a tally, in any order, differ from the acknowledged ones."""
    try:
        found = Tally().plus(rows)
        same = (found.n, found.total) == (tally.n, tally.total)
    except LogError:
        same = False
    if not same:
        yield lost(file, f"the first {tally.n:,} rows of {name} differ from those that were acknowledged")


def lost(file: Path, what: str) -> str:
    """The message about lost rows, with its remedy."""
    return (
        f"{file}: {what}: the file was damaged, truncated, emptied or replaced. Restore it from a copy, or continue "
        "without these rows with `recsys log accept-loss`"
    )


def _rows(connection: sqlite3.Connection, name: str, tallies: Tallies) -> Iterable[Row]:
    number, digest = TALLIED[name]
    since = tallies.get(name, Tally()).last
    return connection.execute(f"SELECT {number}, {digest}, rowid FROM {name} WHERE rowid > ? ORDER BY rowid", (since,))


def _present(connection: sqlite3.Connection) -> list[str]:
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [name for name in TALLIED if name in found]


def _seal(rows: object) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
