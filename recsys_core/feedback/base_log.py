"""What the event logs in SQLite and in PostgreSQL share: how a batch is stored and counted, and the notes beside it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, Self, TypeVar

from recsys_core.feedback.log import Appended, Counts, Note, count, marks_of
from recsys_core.feedback.records import TABLES, Event, Impression, LogTable, Request, Row, stored_rows

Connection = TypeVar("Connection")


class BaseLog(ABC, Generic[Connection]):
    """The methods of an `EventLog` that do not depend on its database."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def append(
        self,
        *,
        requests: Sequence[Request] = (),
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

    def _add(self, connection: Connection, table: LogTable, rows: Sequence[Row]) -> Counts:
        if not rows:
            return Counts()
        places = table.key_places
        keyed = [(tuple(row[place] for place in places), row[-1]) for row in rows]
        known: dict[Row, set[bytes]] = {}
        for *key, digest in self._digests(connection, table, sorted({str(key[0]) for key, _ in keyed})):
            known.setdefault(tuple(key), set()).add(digest)  # type: ignore[arg-type]  # the last column
        self._insert(connection, table, rows)
        return count(keyed, known)
