"""Lines that were set aside: resolved by a later import, read again after a fix, or dismissed.

An import resolves a line of the quarantine when the corrected file is appended again. A bad line mostly names the row
that it should have been, even where it is no JSON: once the log holds a row of that key, the line is resolved. A line
without a readable key is known by its file alone: it is resolved when the same file comes again without it. A file of
the same name may be another file, such as that of the next day; so a file counts as the same only if the log knew at
least half of its lines.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import polars as pl

from recsys_core.data.quarantine import BadRow
from recsys_core.errors import DataError, LogError
from recsys_core.feedback.log import EXCLUDED, LINES_PER_BATCH, Appended, BadLine, EventLog, Note, append_records
from recsys_core.feedback.parsing import Limits, record_of, unknown_items
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, REQUESTS_TABLE, TABLES, LogTable, Record

STANDARD_INPUT = "standard input"
"""What the lines of a pipe are called. Two pipes have nothing in common, so such lines leave by their key alone."""

Key = tuple[str, ...]
"""The name of a table of the log, and the values of its key as texts."""

_TABLE_OF = {"event": EVENTS_TABLE, "impression": IMPRESSIONS_TABLE, "request": REQUESTS_TABLE}


@dataclass(kw_only=True)
class Resolver:
    """Follows one import; at its end, says which lines of the quarantine it resolved."""

    waiting: Sequence[BadLine]
    source: str  # what the lines of this import are called
    _by_key: dict[Key, set[bytes]] = field(default_factory=dict)
    _of_file: dict[bytes, int] = field(default_factory=dict)  # lines of this file without a key: their numbers
    _stored: set[bytes] = field(default_factory=set)
    _still_bad: set[bytes] = field(default_factory=set)
    _places: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for one in self.waiting:
            key = key_in(one)
            if key is not None:
                self._by_key.setdefault(key, set()).add(one.line_id)
            elif one.source == self.source != STANDARD_INPUT:
                self._of_file[one.line_id] = one.line
        self._places.update(self._of_file.values())
        self._n_known = 0

    def stored(self, record: Record, line: int) -> None:
        """Take in a line that went into the log.

        Args:
            record: what it said.
            line: its number in the file, from 1.
        """
        resolved = self._by_key.get(key_of(record), set())
        self._stored |= resolved
        self._n_known += bool(resolved) or line in self._places

    def still_bad(self, line_id: bytes) -> None:
        """Take in a line that is at fault: it stays in quarantine, whatever else the file holds."""
        self._still_bad.add(line_id)

    def resolved(self, n_lines: int, n_repeated: int) -> set[bytes]:
        """The ids of the lines that may leave the quarantine, now that the whole file was read.

        Args:
            n_lines: of the file.
            n_repeated: how many of them the log had as rows before.
        """
        is_same_file = 0 < n_lines <= 2 * (n_repeated + self._n_known)
        gone = set(self._of_file) if is_same_file else set()
        blank = {one.line_id for one in self.waiting if not one.raw.strip()}  # older programs set these aside
        return (self._stored | gone | blank) - self._still_bad


def key_of(record: Record) -> Key:
    """The key of a row."""
    table = next(one for one in TABLES.values() if isinstance(record, one.record))
    return (table.name, *(str(getattr(record, name)) for name in table.key))


def key_in(line: BadLine) -> Key | None:
    """The key of the row that a line at fault should have been; None where that can't be read or is itself at fault."""
    text = line.raw.decode(errors="replace")
    kind = _value_in(text, "type") or ("event" if _value_in(text, "event_id") else "")
    table: LogTable | None = _TABLE_OF.get(kind)
    if table is None and _value_in(text, "event_id"):
        table = EVENTS_TABLE  # a misspelt type
    if table is None or line.column in table.key:
        return None
    values = [_value_in(text, name) for name in table.key]
    return None if None in values else (table.name, *(str(one) for one in values))


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of the lines: stored or repeated (`appended`), or still at fault."""

    appended: Appended
    n_replayed: int
    n_left: int
    unknown_items: dict[int, int] = field(default_factory=dict)  # as of `Imported`


def replay(log: EventLog, limits: Limits) -> Replayed:
    """Read every quarantined line again; those that are understood now go into the log and leave the quarantine.

    A kill in the middle loses nothing: a line leaves after its row is stored, and a row that is stored twice counts
    once.

    Raises:
        LogError: the log cannot be read or written.
    """
    lines = log.quarantined()
    appended, n_replayed, unknown = Appended(), 0, Counter[int]()
    for first in range(0, len(lines), LINES_PER_BATCH):
        records = {}
        for line in lines[first : first + LINES_PER_BATCH]:
            try:
                records[line.line_id] = record_of(line.raw, limits)
            except BadRow:
                continue
        if records:
            appended += append_records(log, list(records.values()))
            log.release(records, limits.now)
            n_replayed += len(records)
            unknown += unknown_items(records.values(), limits)
    return Replayed(
        appended=appended,
        n_replayed=n_replayed,
        n_left=len(lines) - n_replayed,
        unknown_items=dict(sorted(unknown.items())),
    )


def clear(log: EventLog, now: int, source: str | None = None) -> int:
    """Dismiss the lines of one file, or all; returns how many. The log keeps them, but nobody is told of them again.

    A line that is appended once more after that, and is still at fault, is back in quarantine.

    Args:
        log: the event log.
        now: seconds UTC.
        source: a file's name as the quarantine shows it; None: every file.

    Raises:
        DataError: no line of that file is in quarantine.
        LogError: the log cannot be read or written.
    """
    lines = log.quarantined()
    chosen = [one for one in lines if source is None or one.source == source]
    if source is not None and not chosen:
        files = ", ".join(sorted({one.source for one in lines})) or "no file"
        raise DataError(f"no line of {source} is in quarantine; there are lines of {files}")
    if chosen:
        log.release({one.line_id for one in chosen}, now)
    return len(chosen)


def reasons(lines: list[BadLine]) -> dict[str, int]:
    """How many lines were set aside for which reason, the most frequent first."""
    counted: dict[str, int] = {}
    for line in lines:
        reason = f"{line.column}: {line.reason}" if line.column else line.reason
        counted[reason] = counted.get(reason, 0) + 1
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def _value_in(text: str, name: str) -> str | None:
    """The first text or whole number under a name, in what may be only part of an object."""
    found = re.search(rf'"{name}"\s*:\s*("(?:[^"\\]|\\.)*"|\d+)', text)
    if found is None:
        return None
    try:
        return str(json.loads(found[1]))
    except ValueError:  # an escape that is none
        return None


def exclude_request(log: EventLog, request_id: str, now: int, *, take_back: bool = False) -> None:
    """Let a request, and what it showed, count no more; or count again.

    Args:
        log: the event log.
        request_id: of a request, or of slots without one.
        now: microseconds UTC.
        take_back: it counts again.

    Raises:
        LogError: the log holds no such request, or cannot be read or written.
    """
    if not any(request_id in log.deliveries(table)["request_id"] for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE)):
        raise LogError(f"{log.place} holds no request {request_id!r}: the parity report names those that differ")
    log.note([Note(kind=EXCLUDED, key=request_id, value="no" if take_back else "yes", noted_at=now)])


def excluded_requests(log: EventLog) -> set[str]:
    """The ids of the requests that count no more.

    Raises:
        LogError: the log cannot be read.
    """
    latest = {note.key: note.value for note in log.notes(EXCLUDED)}  # oldest first, so the last stays
    return {key for key, value in latest.items() if value == "yes"}


def without_requests(rows: pl.DataFrame, request_ids: Collection[str]) -> pl.DataFrame:
    """The rows, each with a request_id, that belong to none of some requests."""
    return rows.filter(~pl.col("request_id").is_in(sorted(request_ids))) if request_ids else rows


def version_without(version: str, request_ids: Collection[str]) -> str:
    """The version of rows some of whose requests were set aside; the same version where none were."""
    if not request_ids:
        return version
    return hashlib.sha256(json.dumps([version, sorted(request_ids)]).encode()).hexdigest()
