"""What an event log is, whatever keeps it: rows that are only ever added, and may be delivered any number of times.

An append is one transaction: when it returns, its rows are on the disk, and a reader sees all of them or none. Which
of the stored rows count, and which are repeats, is worked out when they are read (`deduplication`).
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
"""Of the stored tables; a log of a newer one is refused, since its columns may mean something else."""


LINES_PER_BATCH = 512
"""Lines of one transaction; larger ones gain little more (`python -m benchmarks.event_log`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AppendCounts:
    """What became of the rows of one table: of a key not yet known, known alike, known with other values."""

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
    """What an append found, as far as its own store can tell: with SQLite, within the file of this writer."""

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
        """How many rows of any table were known alike."""
        return self.requests.repeated + self.impressions.repeated + self.events.repeated


@dataclass(frozen=True, kw_only=True, slots=True)
class BadLine:
    """A line of an import that could not be understood, kept whole so that it can be read again after a fix."""

    line_id: bytes  # of `line_id_of`
    source: str  # the file's name
    line: int  # in that file, from 1
    column: str  # '' where the whole line is at fault
    reason: str
    value: str
    raw: bytes  # without the line end; the first MAX_LINE_BYTES of a line that is longer
    set_aside_at: int  # seconds UTC


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What is said about rows of the log beside them: rows themselves are never changed."""

    kind: str  # IMPORTED, EXCLUDED or LOSS_ACCEPTED
    key: str  # what it is said of
    value: str
    noted_at: int  # microseconds UTC


IMPORTED = "imported"
"""A request, or a slot of it, came from outside: key is the request_id, value the digest of the row in hexadecimal."""

EXCLUDED = "set aside"
"""Whether a request counts no more: key is the request_id, value "yes" or "no"; the latest note of a request counts."""

LOSS_ACCEPTED = "loss accepted"
"""Less arrived on a day than was once ingested, and that is in order: see `inspection.Loss`."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Some rows of one table, of a day or of a user, and all that is known of their keys, seen at one moment."""

    rows: pl.DataFrame  # the table's columns and `digest`: every delivery of the day, or of the user
    deliveries: pl.DataFrame  # deliveries_schema: of the keys in `rows`, on whatever day and of whatever user


class EventLog(Protocol):
    """Where requests, impressions, events and bad lines are kept. Every method may raise LogError."""

    place: str
    """Where the log lies, for messages; without a password."""

    def append(
        self,
        *,
        requests: Sequence[RequestRecord] = (),
        impressions: Sequence[Impression] = (),
        events: Sequence[Event] = (),
        imported: bool = False,
    ) -> Appended:
        """Store one batch in one transaction; when this returns, it is on the disk.

        Rows that came from outside are imported: `imported_requests` tells their requests from the service's own.
        """
        ...

    def note(self, notes: Sequence[Note]) -> None:
        """Keep notes; one that is kept already is kept once."""
        ...

    def notes(self, kind: str) -> list[Note]:
        """The notes of a kind, oldest first."""
        ...

    def imported_requests(self) -> set[str]:
        """The ids of requests that were imported, or have a slot that was, and are not the service's own as well."""
        ...

    def accept_loss(self) -> list[str]:
        """Go on with what is there; returns a sentence for each thing that is missing and was acknowledged."""
        ...

    def read_day(self, table: LogTable, start: int) -> Snapshot:
        """What arrived from the second `start` on, for a day; each row is compared with its digest."""
        ...

    def read_user(self, table: LogTable, user_id: int, since: int) -> Snapshot:
        """What arrived of one user from the second `since` on, until now; each row is compared with its digest."""
        ...

    def deliveries(self, table: LogTable) -> pl.DataFrame:
        """Key, arrival and digest of every stored row, in no order."""
        ...

    def quarantine(self, lines: Sequence[BadLine]) -> None:
        """Keep bad lines, each once; one that had been let go waits again."""
        ...

    def quarantined(self) -> list[BadLine]:
        """The bad lines that were not let go since, oldest first."""
        ...

    def release(self, line_ids: Collection[bytes], at: int) -> None:
        """Note in the second `at` that these lines wait no more: they were replayed, resolved or dismissed."""
        ...

    def damage(self) -> list[str]:
        """Read everything; a sentence for each thing that is not as it was written."""
        ...

    def close(self) -> None:
        """Let go of what is open; the log can be used again after."""
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

        With PostgreSQL, two writers that bring one new key at the same moment both count it as new; readers count it
        once.

        Raises:
            LogError: a record is not fit to be logged, or the batch could not be stored; then nothing of it is. Only
                where a connection to PostgreSQL broke, the batch may be stored all the same: append it again, which
                does no harm.
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
        """Let go of what is open; the log can be used again after."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Connection]:
        """One transaction."""

    @abstractmethod
    def _digests(self, connection: Connection, table: LogTable, firsts: Sequence[str]) -> Iterable[Sequence[object]]:
        """Key and digest of each stored row whose key begins with one of some texts."""

    @abstractmethod
    def _insert(self, connection: Connection, table: LogTable, rows: Sequence[Row]) -> None:
        """Store rows, digest last; one that is stored already is left alone."""

    @abstractmethod
    def _is_stored(self, connection: Connection, table: LogTable, mark: Note) -> bool:
        """Whether the row of a mark of `marks_of` is stored."""

    @abstractmethod
    def _keep(self, connection: Connection, notes: Sequence[Note]) -> None:
        """Store notes; one that is stored already is left alone."""

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
    """Append records of any type, which came from outside, as one batch."""
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
    """A note for each request and each slot of a batch that came from outside.

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
    """16 bytes that stand for a bad line: the same line is kept once, from whatever file."""
    return hashlib.blake2b(raw, digest_size=DIGEST_BYTES).digest()


def is_as_set_aside(line: BadLine) -> bool:
    """Whether a line that was set aside is as it was: its bytes fit its id, and every field has its type."""
    texts, numbers = (line.source, line.column, line.reason, line.value), (line.line, line.set_aside_at)
    typed = all(isinstance(one, str) for one in texts) and all(isinstance(one, int) for one in numbers)
    return typed and isinstance(line.raw, bytes) and line_id_of(line.raw) == line.line_id


def count(rows: Sequence[tuple[Row, bytes]], known: dict[Row, set[bytes]]) -> AppendCounts:
    """What a batch brings, by the digests that its keys have already; adds the batch to them.

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
    """Line id -> the second in which it counts as let go, in the order of ids; see `oldest_first` for why.

    Args:
        line_ids: of the quarantine.
        at: seconds UTC: now.
        set_aside: line id -> the second in which it was last set aside.
    """
    return {one: max(at, set_aside.get(one, 0) + 1) for one in sorted(line_ids)}


def oldest_first(rows: Sequence[Row], release: Mapping[bytes, int]) -> list[BadLine]:
    """The lines of stored rows of the quarantine that wait, each as it was first met.

    Clocks count seconds, and a script may append, clear and append again within one. So stores see to it that a line
    is let go in a second after it was set aside, and set aside again no earlier than it was let go.

    Args:
        rows: of the quarantine.
        release: line id -> the second in which it was last let go.

    Raises:
        LogError: one is not as it was written.
    """
    lines = [BadLine(**dict(zip(BadLine.__dataclass_fields__, row, strict=True))) for row in rows]
    if any(not is_as_set_aside(one) for one in lines):
        raise LogError(
            "a line in the quarantine of the event log is not as it was written; the storage is damaged. Restore the "
            "log from a copy, and run `recsys log verify`"
        )
    waiting = [one for one in lines if one.set_aside_at >= release.get(one.line_id, one.set_aside_at)]
    ordered = sorted(waiting, key=lambda one: (one.set_aside_at, one.source, one.line, one.line_id))
    return list({one.line_id: one for one in reversed(ordered)}.values())[::-1]
