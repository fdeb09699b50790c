"""Rejected lines, which are resolved by a later import, replayed after a fix, or dismissed; and excluded requests.

An import resolves a line of the quarantine when the corrected file is appended again. Most bad lines contain the key of
their row, even where they are not JSON: once the log holds a row with that key, the line is resolved. A line without a
readable key is identified by its file: it is resolved when the same file is imported again without it. A file of the
same name may be another file, such as that of the next day. So a file counts as the same only if the log already held
at least half of its lines.

An operator may exclude a request from parity, drift and training, and take that back. A single request that the release
cannot have answered, such as one with foreign slots, would fail the parity report and stop every refresh. The rows of
an excluded request stay in the log, and its items still count as shown.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import polars as pl

from recsys_core.data.fields import BadRow
from recsys_core.errors import DataError, LogError
from recsys_core.feedback.log import EXCLUDED, LINES_PER_BATCH, Appended, BadLine, EventLog, Note, append_records
from recsys_core.feedback.parsing import Limits, record_of, unknown_items
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, REQUESTS_TABLE, TABLES, LogTable, Record

STANDARD_INPUT = "standard input"
"""Source of lines from a pipe. Two pipes are unrelated, so such lines are resolved by their key alone."""

Key = tuple[str, ...]
"""The name of a table of the log, and the values of its key as texts."""

_TABLE_OF = {"event": EVENTS_TABLE, "impression": IMPRESSIONS_TABLE, "request": REQUESTS_TABLE}


@dataclass(kw_only=True)
class Resolver:
    """Finds the lines of the quarantine that one import resolves."""

    waiting: Sequence[BadLine]
    source: str  # name of this import's file
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
        """Note a line that was stored in the log.

        Args:
            record: the record of the line.
            line: its number in the file, from 1.
        """
        resolved = self._by_key.get(key_of(record), set())
        self._stored |= resolved
        self._n_known += bool(resolved) or line in self._places

    def still_bad(self, line_id: bytes) -> None:
        """Note a bad line: it stays in quarantine, whatever else the file holds."""
        self._still_bad.add(line_id)

    def resolved(self, n_lines: int, n_repeated: int) -> set[bytes]:
        """The ids of the resolved lines, after the whole file was read.

        Args:
            n_lines: of the file.
            n_repeated: number of lines whose rows the log held before.
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
    """The key of a bad line's row; None where the key cannot be read, or is itself wrong."""
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
    """The outcome of the lines: stored or repeated (`appended`), or still rejected."""

    appended: Appended
    n_replayed: int
    n_left: int
    unknown_items: dict[int, int] = field(default_factory=dict)  # as of `Imported`


def replay(log: EventLog, limits: Limits) -> Replayed:
    """Read every quarantined line again; lines that parse now are stored in the log and leave the quarantine.

    An interruption loses nothing: a line leaves after its row is stored, and a row that is stored twice counts once.

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
    """Dismiss the lines of one file, or all, and return their number. The log keeps them, but no longer reports them.

    A dismissed line that is appended again, and is still wrong, returns to the quarantine.

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
    """Number of rejected lines by reason, the most frequent first."""
    counted: dict[str, int] = {}
    for line in lines:
        reason = f"{line.column}: {line.reason}" if line.column else line.reason
        counted[reason] = counted.get(reason, 0) + 1
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def _value_in(text: str, name: str) -> str | None:
    """The first string or integer under a name, in text that may be an incomplete object."""
    found = re.search(rf'"{name}"\s*:\s*("(?:[^"\\]|\\.)*"|\d+)', text)
    if found is None:
        return None
    try:
        return str(json.loads(found[1]))
    except ValueError:  # an invalid escape
        return None


def exclude_request(log: EventLog, request_id: str, now: int, *, take_back: bool = False) -> None:
    """Exclude a request and its slots, or include them again.

    Args:
        log: the event log.
        request_id: of a request, or of slots without one.
        now: microseconds UTC.
        take_back: include the request again.

    Raises:
        LogError: the log holds no such request, or cannot be read or written.
    """
    if not any(request_id in log.deliveries(table)["request_id"] for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE)):
        raise LogError(f"{log.place} holds no request {request_id!r}: the parity report names those that differ")
    log.note([Note(kind=EXCLUDED, key=request_id, value="no" if take_back else "yes", noted_at=now)])


def excluded_requests(log: EventLog) -> set[str]:
    """The ids of the excluded requests.

    Raises:
        LogError: the log cannot be read.
    """
    latest = {note.key: note.value for note in log.notes(EXCLUDED)}  # oldest first, so the latest note stays
    return {key for key, value in latest.items() if value == "yes"}


def without_requests(rows: pl.DataFrame, request_ids: Collection[str]) -> pl.DataFrame:
    """The rows whose request_id is not among these."""
    return rows.filter(~pl.col("request_id").is_in(sorted(request_ids))) if request_ids else rows


def version_without(version: str, request_ids: Collection[str]) -> str:
    """The version of rows without their excluded requests; the same version where there are none."""
    if not request_ids:
        return version
    return hashlib.sha256(json.dumps([version, sorted(request_ids)]).encode()).hexdigest()
