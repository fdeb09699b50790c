"""The interface of an event log, and the part that its two implementations share.

Rows are only ever added, and may be delivered any number of times. An append is one transaction: when it returns, its
rows are on the disk, and a reader sees all of them or none. Reading decides which stored rows count and which are
repeats (`deduplication`).
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import polars as pl

from recsys_core.errors import LogError
from recsys_core.feedback.records import (
    DIGEST_BYTES,
    IMPRESSIONS_TABLE,
    REQUESTS_TABLE,
    TABLES,
    Event,
    Impression,
    LogTable,
    Record,
    RequestRecord,
    Row,
    stored_rows,
)

Connection = TypeVar("Connection")

SCHEMA_VERSION = 1
"""Version of the stored tables. A log of a newer version is refused, because its columns may differ in meaning."""


LINES_PER_BATCH = 512
"""Lines of one transaction; larger ones gain little more (`python -m benchmarks.event_log`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AppendCounts:
    """Rows of one table by outcome: of a new key, repeated unchanged, or conflicting with a stored row of their key."""

    new: int = 0
    repeated: int = 0
    conflicting: int = 0

    def __add__(self, other: "AppendCounts") -> "AppendCounts":
        return AppendCounts(
            new=self.new + other.new,
            repeated=self.repeated + other.repeated,
            conflicting=self.conflicting + other.conflicting,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Appended:
    """The outcome of an append within its own store: with SQLite, within the file of this writer."""

    requests: AppendCounts = AppendCounts()
    impressions: AppendCounts = AppendCounts()
    events: AppendCounts = AppendCounts()

    def __add__(self, other: "Appended") -> "Appended":
        return Appended(
            requests=self.requests + other.requests,
            impressions=self.impressions + other.impressions,
            events=self.events + other.events,
        )

    @property
    def n_repeated(self) -> int:
        """Number of repeated rows in all tables."""
        return self.requests.repeated + self.impressions.repeated + self.events.repeated


@dataclass(frozen=True, kw_only=True, slots=True)
class BadLine:
    """A line of an import that could not be parsed, kept whole so that it can be read again after a fix."""

    line_id: bytes  # of `line_id_of`
    source: str  # the file's name
    line: int  # in that file, from 1
    column: str  # '' where the whole line is wrong
    reason: str
    value: str
    raw: bytes  # without the line end; the first MAX_LINE_BYTES of a line that is longer
    set_aside_at: int  # seconds UTC


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A statement about rows of the log, stored beside them because rows are never changed."""

    kind: str  # IMPORTED, EXCLUDED or LOSS_ACCEPTED
    key: str  # the row or day that it is about
    value: str
    noted_at: int  # microseconds UTC


IMPORTED = "imported"
"""A request, or a slot of it, was imported: key is the request_id, value the digest of the row in hexadecimal."""

EXCLUDED = "set aside"
"""Whether a request is excluded: key is the request_id, value "yes" or "no"; the latest note of a request counts."""

LOSS_ACCEPTED = "loss accepted"
"""A day holds fewer rows than were once ingested, and this was accepted: see `inspection.Loss`."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Rows of one table, of a day or of a user, and all deliveries of their keys, at one moment."""

    rows: pl.DataFrame  # the table's columns and `digest`: every delivery of the day, or of the user
    deliveries: pl.DataFrame  # deliveries_schema: of the keys in `rows`, on whatever day and of whatever user


class EventLog(Protocol):
    """Storage of requests, impressions, events and bad lines. Every method may raise LogError."""

    place: str
    """The location of the log, for messages; without a password."""

    def append(
        self,
        *,
        requests: Sequence[RequestRecord] = (),
        impressions: Sequence[Impression] = (),
        events: Sequence[Event] = (),
        imported: bool = False,
    ) -> Appended:
        """Store one batch in one transaction; when this returns, it is on the disk.

        `imported` marks rows that were not logged by the service: `imported_requests` names their requests.
        """
        ...

    def note(self, notes: Sequence[Note]) -> None:
        """Store notes, each once."""
        ...

    def notes(self, kind: str) -> list[Note]:
        """The notes of a kind, oldest first."""
        ...

    def imported_requests(self) -> set[str]:
        """The ids of requests that were imported, or have an imported slot, and that the service did not log itself."""
        ...

    def accept_loss(self) -> list[str]:
        """Accept the loss of acknowledged rows; returns a sentence for each loss."""
        ...

    def read_day(self, table: LogTable, start: int) -> Snapshot:
        """The rows that arrived on the day from the second `start` on; each is compared with its digest."""
        ...

    def read_user(self, table: LogTable, user_id: int, since: int) -> Snapshot:
        """The rows of one user that arrived from the second `since` on; each is compared with its digest."""
        ...

    def deliveries(self, table: LogTable) -> pl.DataFrame:
        """Key, arrival and digest of every stored row, in no order."""
        ...

    def quarantine(self, lines: Sequence[BadLine]) -> None:
        """Quarantine bad lines, each once; a line that was released is quarantined again."""
        ...

    def quarantined(self) -> list[BadLine]:
        """The bad lines that have not been released, oldest first."""
        ...

    def release(self, line_ids: Collection[bytes], at: int) -> None:
        """Release lines in the second `at`: they were replayed, resolved or dismissed."""
        ...

    def damage(self) -> list[str]:
        """Read everything; a sentence for each difference from what was written."""
        ...

    def close(self) -> None:
        """Close files and connections; the next use opens them again."""
        ...


class BaseLog(ABC, Generic[Connection]):
    """The methods of an `EventLog` that do not depend on its database."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def append(
        self,
        *,
        requests: Sequence[RequestRecord] = (),
        impressions: Sequence[Impression] = (),
        events: Sequence[Event] = (),
        imported: bool = False,
    ) -> Appended:
        """Store one batch in one transaction, which is on the disk when this returns.

        With PostgreSQL, two writers that append one new key at the same moment both count it as new; readers count it
        once.

        Raises:
            LogError: a record is not fit to be logged, or the batch could not be stored; then no row of it is stored.
                Only where a connection to PostgreSQL broke, the batch may be stored nevertheless: append it again,
                which does no harm.
        """
        rows = stored_rows(requests, impressions, events)
        with self._writing() as connection:
            if imported:
                marks = [note for table, note in marks_of(rows) if not self._is_stored(connection, table, note)]
                self._keep(connection, marks)
            return Appended(**{name: self._add(connection, TABLES[name], some) for name, some in rows.items()})

    def note(self, notes: Sequence[Note]) -> None:
        """Keep notes.

        Raises:
            LogError: they could not be stored.
        """
        with self._writing() as connection:
            self._keep(connection, notes)

    @abstractmethod
    def close(self) -> None:
        """Close files and connections; the next use opens them again."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Connection]:
        """One transaction."""

    @abstractmethod
    def _digests(self, connection: Connection, table: LogTable, firsts: Sequence[str]) -> Iterable[Sequence[object]]:
        """Key and digest of each stored row whose first key column is one of `firsts`."""

    @abstractmethod
    def _insert(self, connection: Connection, table: LogTable, rows: Sequence[Row]) -> None:
        """Store rows, digest last; rows that are already stored are left unchanged."""

    @abstractmethod
    def _is_stored(self, connection: Connection, table: LogTable, mark: Note) -> bool:
        """Whether the row of a mark of `marks_of` is stored."""

    @abstractmethod
    def _keep(self, connection: Connection, notes: Sequence[Note]) -> None:
        """Store notes; notes that are already stored are left unchanged."""

    def _add(self, connection: Connection, table: LogTable, rows: Sequence[Row]) -> AppendCounts:
        if not rows:
            return AppendCounts()
        places = table.key_places
        keyed = [(tuple(row[place] for place in places), row[-1]) for row in rows]
        known: dict[Row, set[bytes]] = {}
        for *key, digest in self._digests(connection, table, sorted({str(key[0]) for key, _ in keyed})):
            known.setdefault(tuple(key), set()).add(digest)  # type: ignore[arg-type]  # the last column
        self._insert(connection, table, rows)
        return count(keyed, known)


def append_records(log: EventLog, records: Sequence[Record]) -> Appended:
    """Append imported records of any type as one batch."""
    return log.append(
        requests=[one for one in records if isinstance(one, RequestRecord)],
        impressions=[one for one in records if isinstance(one, Impression)],
        events=[one for one in records if isinstance(one, Event)],
        imported=True,
    )


def digest_of_note(note: Note) -> bytes:
    """16 bytes over a note."""
    text = repr((note.kind, note.key, note.value, note.noted_at))
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


def marks_of(rows: Mapping[str, Sequence[Row]]) -> list[tuple[LogTable, Note]]:
    """A note for each request and each slot of an imported batch.

    Args:
        rows: of `records.stored_rows`.
    """
    marks = []
    for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE):
        arrival = list(table.columns).index(table.arrival)
        for row in rows[table.name]:
            note = Note(kind=IMPORTED, key=row[0], value=row[-1].hex(), noted_at=row[arrival])
            marks.append((table, note))
    return marks


def line_id_of(raw: bytes) -> bytes:
    """16 bytes that identify a bad line: the same line is kept once, from whatever file."""
    return hashlib.blake2b(raw, digest_size=DIGEST_BYTES).digest()


def is_intact(line: BadLine) -> bool:
    """Whether a quarantined line is as it was stored: its bytes match its id, and every field has its type."""
    texts, numbers = (line.source, line.column, line.reason, line.value), (line.line, line.set_aside_at)
    typed = all(isinstance(one, str) for one in texts) and all(isinstance(one, int) for one in numbers)
    return typed and isinstance(line.raw, bytes) and line_id_of(line.raw) == line.line_id


def count(rows: Sequence[tuple[Row, bytes]], known: dict[Row, set[bytes]]) -> AppendCounts:
    """Count a batch by the stored digests of its keys, and add the batch to these.

    Args:
        rows: (key, digest) of each row, in order.
        known: digests by key.
    """
    new = repeated = conflicting = 0
    for key, digest in rows:
        digests = known.setdefault(key, set())
        if not digests:
            new += 1
        elif digest in digests:
            repeated += 1
        else:
            conflicting += 1
        digests.add(digest)
    return AppendCounts(new=new, repeated=repeated, conflicting=conflicting)


def in_order(notes: Iterable[Note]) -> list[Note]:
    """Notes, oldest first."""
    return sorted(notes, key=lambda note: (note.noted_at, note.key, note.value))


def release_times(line_ids: Collection[bytes], at: int, set_aside: Mapping[bytes, int]) -> dict[bytes, int]:
    """Line id -> the second in which its release is recorded, in the order of ids; `waiting_lines` says why.

    Args:
        line_ids: of the quarantine.
        at: seconds UTC: now.
        set_aside: line id -> the second in which it was last set aside.
    """
    return {one: max(at, set_aside.get(one, 0) + 1) for one in sorted(line_ids)}


def waiting_lines(rows: Sequence[Row], released: Mapping[bytes, int]) -> list[BadLine]:
    """The stored lines of the quarantine that were not released, oldest first, each as it was first read.

    Clocks count seconds, and a script may append, clear and append again within one. Stores therefore release a line at
    least one second after it was set aside, and set it aside again no earlier than it was released.

    Args:
        rows: of the quarantine.
        released: line id -> the second in which it was last released.

    Raises:
        LogError: one is not as it was written.
    """
    lines = [BadLine(**dict(zip(BadLine.__dataclass_fields__, row, strict=True))) for row in rows]
    if any(not is_intact(one) for one in lines):
        raise LogError(
            "a line in the quarantine of the event log is not as it was written; the storage is damaged. Restore the "
            "log from a copy, and run `recsys log verify`"
        )
    waiting = [one for one in lines if one.set_aside_at >= released.get(one.line_id, one.set_aside_at)]
    ordered = sorted(waiting, key=lambda one: (one.set_aside_at, one.source, one.line, one.line_id))
    return list({one.line_id: one for one in reversed(ordered)}.values())[::-1]
